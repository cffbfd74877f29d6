/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest program, built in ways that cira-run has to refuse: statically,
 * and with the loader of another C library.
 */
int main(void) {
  return 0;
}
