/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: each format there and back, what is refused and in which words, and
 * binary files with every kind of damage.
 */
#include "test_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *path_of(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", test_folder, name);
  return path;
}

static const char *file_write(const char *name, const void *bytes, size_t n) {
  const char *path = path_of(name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  fclose(f);
  return path;
}

static void test_round_trip(void **state) {
  test_begin(state);
  static const char *const names[] = {"g.cgr", "g.mtx", "g.gr", "g.wel"};
  cira_graph_options_t o, read;
  test_options(&o);
  cira_graph_t *g = test_generate("grid:31x17", &o), *copy;
  cira_graph_options_default(&read);
  read.place = test_place;
  for (size_t i = 0; i < CIRA_COUNT(names); i++) {
    MUST(cira_graph_write(g, path_of(names[i]), CIRA_GRAPH_FORMAT_AUTO));
    MUST(cira_graph_read(path_of(names[i]), &read, &copy));
    test_graph_equal(g, copy);
    cira_graph_destroy(copy);
    unlink(path_of(names[i]));
  }
  cira_graph_destroy(g);
  o.weights = CIRA_GRAPH_WEIGHTS_DROP;
  o.symmetrise = false;
  o.in_edges = true;
  g = test_generate("uniform:8,5", &o);
  MUST(cira_graph_write(g, path_of("d.cgr"), CIRA_GRAPH_FORMAT_AUTO));
  MUST(cira_graph_read(path_of("d.cgr"), &read, &copy));
  test_graph_equal(g, copy);
  cira_graph_info_t info;
  cira_graph_info(copy, &info);
  assert_true(info.in_edges && !info.symmetric && info.simple);
  cira_graph_destroy(copy);
  read.symmetrise = read.deduplicate = true; /* to be built again */
  MUST(cira_graph_read(path_of("d.cgr"), &read, &copy));
  cira_graph_info(copy, &info);
  assert_true(info.symmetric && info.simple);
  cira_graph_destroy(copy);
  cira_graph_destroy(g);
  unlink(path_of("d.cgr"));
}

static void test_texts(void **state) {
  test_begin(state);
  static const struct {
    const char *name, *text;
    uint64_t vertices, edges;
  } good[] = {
      {"a.txt",
       "# Directed graph\r\n# FromNodeId\tToNodeId\r\n0\t3\r\n3\t1\r\n", 4, 2},
      {"a.el", "0 1\n\n% c\n 2   0 \n", 3, 2},
      {"a.wel", "0 1 5\n1 0 -3\n", 2, 2},
      {"a.mtx",
       "%%MatrixMarket matrix coordinate pattern symmetric\n% c\n3 3 2\n"
       "1 1\n3 1\n",
       3, 3},
      {"b.mtx",
       "%%matrixmarket MATRIX Coordinate Real General\n2 2 1\n"
       "1 2 4.0e1\n",
       2, 1},
      {"c.mtx",
       "%%MatrixMarket matrix coordinate integer skew-symmetric\n2 2 1\n2 1 "
       "3\n",
       2, 2},
      {"a.gr", "c road\np sp 3 2\na 1 2 7\na 3 1 0\n", 3, 2},
      {"none", "p sp 1 0\n", 1, 0},
  };
  cira_graph_options_t o;
  cira_graph_edges_t *e;
  cira_graph_options_default(&o);
  o.place = test_place;
  for (size_t i = 0; i < CIRA_COUNT(good); i++) {
    const char *path =
        file_write(good[i].name, good[i].text, strlen(good[i].text));
    MUST(cira_graph_edges_read(path, &o, &e));
    assert_int_equal(cira_graph_edges_vertices(e), good[i].vertices);
    assert_int_equal(cira_graph_edges_count(e), good[i].edges);
    cira_graph_edges_destroy(e);
    unlink(path);
  }
  const char *path = file_write("s.el", "7 4000000000\n9 7\n", 17);
  REFUSED(cira_graph_edges_read(path, &o, &e), CIRA_E_RANGE, "--compact");
  o.compact = true;
  MUST(cira_graph_edges_read(path, &o, &e));
  assert_int_equal(cira_graph_edges_vertices(e), 3);
  cira_graph_edges_destroy(e);
  unlink(path);
}

static void test_refused_texts(void **state) {
  test_begin(state);
  static const char mtx[] = "%%MatrixMarket matrix coordinate ";
  static const struct {
    const char *name, *head, *text, *words;
  } bad[] = {
      {"x.el", "", "", "x.el:0: the file has no edge"},
      {"x.el", "", "0 1\n1\n", "x.el:2: the second vertex is missing"},
      {"x.el", "", "0 one\n", "x.el:1: the second vertex 'one' is not a whole"},
      {"x.el", "", "0 -1\n", "'-1' is outside of 0 to 4294967293"},
      {"x.el", "", "0 4294967295\n", "'4294967295' is outside"},
      {"x.el", "", "0 99999999999999999999999\n", "outside"},
      {"x.el", "", "0 1 2\n1 2\n", "x.el:2: the weight is missing"},
      {"x.el", "", "0 1\n1 2 3\n", "x.el:2: '3' is one field too many"},
      {"x.el", "", "0 1 2.5\n", "'2.5' is not a whole number of 32 bits"},
      {"x.el", "", "0 1 nan\n", "'nan' is not a whole"},
      {"x.el", "", "0 1 x\n", "the weight 'x' is not a number"},
      {"x.el", "", "0 1 3000000000\n", "not a whole number of 32 bits"},
      {"x.mtx", "", "1 1 1\n", "x.mtx:1: the first line must be"},
      {"x.mtx", mtx, "complex general\n", "the field must be"},
      {"x.mtx", mtx, "real hermitian\n", "the symmetry must be"},
      {"x.mtx", mtx, "real general extra\n", "'extra' is one field too many"},
      {"x.mtx", mtx, "real general\n", "the file was cut"},
      {"x.mtx", mtx, "real general\n2 3 1\n", "must be square"},
      {"x.mtx", mtx, "real general\n0 0 0\n", "must be square and not empty"},
      {"x.mtx", mtx, "real general\n2 2 1\n", "ends after 0 of 1 entries"},
      {"x.mtx", mtx, "pattern general\n2 2 1\n0 1\n", "x.mtx:3: the row '0'"},
      {"x.mtx", mtx, "pattern general\n2 2 1\n1 3\n", "the column '3'"},
      {"x.mtx", mtx, "pattern general\n2 2 1\n1 1\n1 2\n", "x.mtx:4: more"},
      {"x.mtx", mtx, "real general\n2 2 1\n1 2\n", "the weight is missing"},
      {"x.mtx", mtx, "integer skew-symmetric\n2 2 1\n2 1 -2147483648\n",
       "no negative"},
      {"x.mtx", mtx, "pattern general\n2 2 999999999999999999\n", "outside"},
      {"x.gr", "", "a 1 2 3\n", "x.gr:1: an arc before"},
      {"x.gr", "", "c only\n", "is missing"},
      {"x.gr", "", "p max 3 2\n", "not a shortest path problem"},
      {"x.gr", "", "p sp 3 1\np sp 3 1\n", "x.gr:2: a second p line"},
      {"x.gr", "", "p sp 3 2\na 1 2 3\n", "ends after 1 of 2 arcs"},
      {"x.gr", "", "p sp 3 1\na 1 2 3\na 1 2 3\n", "x.gr:3: more arcs"},
      {"x.gr", "", "p sp 3 1\na 1 4 3\n", "the head '4' is outside of 1 to 3"},
      {"x.gr", "", "p sp 3 1\nq 1\n", "must begin with c, p or a"},
      {"x.gr", "", "p sp 0 0\n", "the number of vertices '0'"},
  };
  cira_graph_options_t o;
  cira_graph_edges_t *e;
  char text[512];
  cira_graph_options_default(&o);
  o.place = test_place;
  for (size_t i = 0; i < CIRA_COUNT(bad); i++) {
    snprintf(text, sizeof text, "%s%s", bad[i].head, bad[i].text);
    const char *path = file_write(bad[i].name, text, strlen(text));
    cira_status_t status = cira_graph_edges_read(path, &o, &e);
    if (status == CIRA_OK ||
        strstr(cira_status_detail(), bad[i].words) == NULL) {
      fail_msg("%s: no \"%s\" in: %s", text, bad[i].words,
               status == CIRA_OK ? "(accepted)" : cira_status_detail());
    }
    unlink(path);
  }
  const char *path = file_write("x.el", "0 1\n0\0 2\n", 9);
  REFUSED(cira_graph_edges_read(path, &o, &e), CIRA_E_INVALID, "NUL byte");
  o.edges_max = 1;
  path = file_write("x.el", "0 1\n0 2\n", 8);
  REFUSED(cira_graph_edges_read(path, &o, &e), CIRA_E_RANGE, "more than 1");
  o.edges_max = 0;
  o.vertices_max = 2;
  REFUSED(cira_graph_edges_read(path, &o, &e), CIRA_E_RANGE, "at most 2");
  unlink(path);
  REFUSED(cira_graph_edges_read(path, &o, &e), CIRA_E_SYSTEM, "x.el");
}

/* ---- binary --------------------------------------------------------------
 */

static uint8_t *file_read(const char *path, size_t *bytes) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  *bytes = (size_t)ftell(f);
  rewind(f);
  uint8_t *p = malloc(*bytes + 1);
  assert_non_null(p);
  assert_int_equal(fread(p, 1, *bytes, f), *bytes);
  fclose(f);
  return p;
}

static void test_damage(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  cira_graph_t *g, *copy = NULL;
  size_t bytes;
  test_options(&o);
  o.symmetrise = false;
  o.in_edges = true;
  g = test_generate("uniform:4,3", &o);
  MUST(cira_graph_write(g, path_of("x.cgr"), CIRA_GRAPH_FORMAT_AUTO));
  cira_graph_destroy(g);
  cira_graph_options_default(&o);
  o.place = test_place;
  o.format = CIRA_GRAPH_FORMAT_BINARY;
  uint8_t *file = file_read(path_of("x.cgr"), &bytes);
  for (size_t n = 0; n < bytes; n += n < 80 ? 1 : 7) { /* cut */
    const char *path = file_write("x.cgr", file, n);
    assert_int_equal(cira_graph_read(path, &o, &copy), CIRA_E_INVALID);
    assert_non_null(strstr(cira_status_detail(), "cut"));
  }
  for (size_t i = 0; i < bytes; i += i < 64 ? 1 : 3) { /* one bit */
    file[i] ^= (uint8_t)(1u << (i % 8));
    const char *path = file_write("x.cgr", file, bytes);
    assert_int_not_equal(cira_graph_read(path, &o, &copy), CIRA_OK);
    file[i] ^= (uint8_t)(1u << (i % 8));
  }
  file[bytes] = 0; /* one byte more */
  const char *path = file_write("x.cgr", file, bytes + 1);
  REFUSED(cira_graph_read(path, &o, &copy), CIRA_E_INVALID, "after its end");
  path = file_write("x.cgr", file, bytes);
  MUST(cira_graph_read(path, &o, &copy));
  cira_graph_destroy(copy);
  o.edges_max = 3;
  REFUSED(cira_graph_read(path, &o, &copy), CIRA_E_RANGE, "allowed here");
  cira_graph_edges_t *e;
  o.edges_max = 0;
  REFUSED(cira_graph_edges_read(path, &o, &e), CIRA_E_INVALID, "no list");
  unlink(path);
  free(file);
}

static void test_write_refused(void **state) {
  test_begin(state);
  cira_graph_options_t o;
  test_options(&o);
  cira_graph_t *g = test_generate("grid:3x3", &o);
  REFUSED(cira_graph_write(g, path_of("x.dat"), CIRA_GRAPH_FORMAT_AUTO),
          CIRA_E_INVALID, "the suffix names no format");
  REFUSED(cira_graph_write(g, path_of("no/x.el"), CIRA_GRAPH_FORMAT_AUTO),
          CIRA_E_SYSTEM, "no/x.el");
  REFUSED(cira_graph_write(g, "/dev/full", CIRA_GRAPH_FORMAT_BINARY),
          CIRA_E_SYSTEM, "/dev/full");
  REFUSED(cira_graph_write(g, "/dev/full", CIRA_GRAPH_FORMAT_EDGES),
          CIRA_E_SYSTEM, "/dev/full");
  cira_graph_destroy(g);
}

const struct CMUnitTest test_files[] = {
    cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_texts),
    cmocka_unit_test(test_refused_texts), cmocka_unit_test(test_damage),
    cmocka_unit_test(test_write_refused),
};
const size_t test_file_count = CIRA_COUNT(test_files);
