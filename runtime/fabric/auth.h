/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared secret. Both sides read a token file; the key is its BLAKE2b
 * hash. Each side proves that it knows the key over both sides' fresh nonces,
 * so nothing on the wire can be replayed and an impostor server is noticed.
 * The bytes that follow are not encrypted: use a network you trust, or a
 * tunnel.
 */
#ifndef CIRA_FABRIC_AUTH_H
#define CIRA_FABRIC_AUTH_H

#include "base/base.h"

#define CIRA__AUTH_BYTES 32u
#define CIRA__TOKEN_MIN_BYTES 16u

typedef enum { CIRA__AUTH_CLIENT = 'C', CIRA__AUTH_SERVER = 'S' } cira__auth_t;

/* Reads the token file (trailing white space does not count).
 * Returns CIRA_OK, or CIRA_E_AUTH with a detail. */
cira_status_t cira__auth_key_load(const char *path,
                                  uint8_t out_key[CIRA__AUTH_BYTES]);

void cira__auth_nonce(uint8_t out[CIRA__AUTH_BYTES]);

/* What `who` shows to the other side. */
void cira__auth_proof(const uint8_t key[CIRA__AUTH_BYTES], cira__auth_t who,
                      const uint8_t client_nonce[CIRA__AUTH_BYTES],
                      const uint8_t server_nonce[CIRA__AUTH_BYTES],
                      uint8_t out[CIRA__AUTH_BYTES]);

/* Constant-time comparison. */
bool cira__auth_equal(const uint8_t a[CIRA__AUTH_BYTES],
                      const uint8_t b[CIRA__AUTH_BYTES]);

#endif
