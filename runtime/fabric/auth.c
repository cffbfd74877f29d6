/* SPDX-License-Identifier: Apache-2.0
 *
 * Token file and proofs, see auth.h.
 */
#include "fabric/auth.h"

#include "base/sys.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(CIRA__AUTH_BYTES == crypto_generichash_BYTES, "BLAKE2b-256");

cira_status_t cira__auth_key_load(const char *path,
                                  uint8_t out_key[CIRA__AUTH_BYTES]) {
  char text[4096];
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return cira__fail_errno(CIRA_E_AUTH, errno, "cannot read token file '%s'",
                            path);
  }
  long n = cira__sys_read(fd, text, sizeof(text));
  bool open_to_others = fstat(fd, &st) == 0 && (st.st_mode & 077);
  (void)cira__sys_close(fd);
  if (n < 0) {
    return cira__fail_errno(CIRA_E_AUTH, (int)-n, "cannot read token file '%s'",
                            path);
  }
  while (n > 0 && strchr(" \t\r\n", text[n - 1])) {
    n--;
  }
  if (n < (long)CIRA__TOKEN_MIN_BYTES) {
    sodium_memzero(text, sizeof(text));
    return cira__fail(CIRA_E_AUTH,
                      "the token in '%s' has %ld bytes; write at least %u "
                      "random ones, as in: head -c 32 /dev/urandom | base64",
                      path, n, CIRA__TOKEN_MIN_BYTES);
  }
  if (open_to_others) {
    CIRA_LOG(CIRA_LOG_WARN,
             "token file '%s' can be read by others; chmod 600 it", path);
  }
  crypto_generichash(out_key, CIRA__AUTH_BYTES, (const uint8_t *)text,
                     (unsigned long long)n, NULL, 0);
  sodium_memzero(text, sizeof(text));
  return CIRA_OK;
}

void cira__auth_nonce(uint8_t out[CIRA__AUTH_BYTES]) {
  randombytes_buf(out, CIRA__AUTH_BYTES);
}

void cira__auth_proof(const uint8_t key[CIRA__AUTH_BYTES], cira__auth_t who,
                      const uint8_t client_nonce[CIRA__AUTH_BYTES],
                      const uint8_t server_nonce[CIRA__AUTH_BYTES],
                      uint8_t out[CIRA__AUTH_BYTES]) {
  uint8_t text[1 + 2 * CIRA__AUTH_BYTES];
  text[0] = (uint8_t)who; /* a proof cannot be sent back as the other's */
  memcpy(text + 1, client_nonce, CIRA__AUTH_BYTES);
  memcpy(text + 1 + CIRA__AUTH_BYTES, server_nonce, CIRA__AUTH_BYTES);
  crypto_generichash(out, CIRA__AUTH_BYTES, text, sizeof(text), key,
                     CIRA__AUTH_BYTES);
}

bool cira__auth_equal(const uint8_t a[CIRA__AUTH_BYTES],
                      const uint8_t b[CIRA__AUTH_BYTES]) {
  return sodium_memcmp(a, b, CIRA__AUTH_BYTES) == 0;
}
