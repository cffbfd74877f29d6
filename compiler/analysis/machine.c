/* SPDX-License-Identifier: Apache-2.0
 * A machine model from JSON. The object is turned into the text of the
 * attribute, which MLIR parses and the attribute's verifier checks: the fields
 * and their limits are written down once, in CiraAttrs.td. */
#include "analysis/ir.h"

#include "mlir-c/Diagnostics.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { text_max = 4096 };

typedef struct text {
  char bytes[text_max];
  size_t used;
  bool overflow;
} text_t;

static void put(text_t *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(text_t *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length =
      vsnprintf(text->bytes + text->used, text_max - text->used, format, args);
  va_end(args);
  if (length < 0 || (size_t)length >= text_max - text->used) {
    text->overflow = true;
    return;
  }
  text->used += (size_t)length;
}

/* Letters, digits and _ only: what may stand in the text as it is. */
static bool is_word(const char *word) {
  for (const char *c = word; *c; c++) {
    if (!isalnum((unsigned char)*c) && *c != '_') {
      return false;
    }
  }
  return *word != '\0';
}

static MlirAttribute refuse(MlirLocation loc, const char *what,
                            const char *which) {
  char message[256];
  snprintf(message, sizeof message,
           "machine model: %s%s; write a JSON object such as "
           "{\"far_latency_ns\": 2400, \"devices\": [\"vortex\"]}",
           what, which);
  mlirEmitError(loc, message);
  return (MlirAttribute){NULL};
}

static bool put_devices(text_t *text, const json_t *devices) {
  size_t i;
  json_t *name;
  put(text, "devices = [");
  json_array_foreach(devices, i, name) {
    const char *word = json_string_value(name);
    if (!word || !is_word(word)) {
      return false;
    }
    put(text, "%s\"%s\"", i ? ", " : "", word);
  }
  put(text, "]");
  return json_is_array(devices);
}

static MlirAttribute from_object(MlirLocation loc, json_t *root) {
  text_t text = {.used = 0};
  const char *key;
  json_t *value;
  const char *comma = "";
  put(&text, "#cira.machine<");
  json_object_foreach(root, key, value) {
    put(&text, "%s", comma);
    comma = ", ";
    if (strcmp(key, "devices") == 0) {
      if (!put_devices(&text, value)) {
        return refuse(loc, "devices is no list of names", "");
      }
    } else if (!is_word(key)) {
      return refuse(loc, "a key is no name of a field", "");
    } else if (!json_is_integer(value)) {
      return refuse(loc, "no whole number for ", key);
    } else {
      put(&text, "%s = %lld", key, (long long)json_integer_value(value));
    }
  }
  put(&text, ">");
  if (text.overflow) {
    return refuse(loc, "it is too long", "");
  }
  return mlirAttributeParseGet(mlirLocationGetContext(loc),
                               cira__str(text.bytes));
}

MlirAttribute ciraMachineAttrParseJSON(MlirLocation loc, MlirStringRef json) {
  json_error_t error;
  json_t *root =
      json_loadb(json.data, json.length, JSON_REJECT_DUPLICATES, &error);
  if (!root) {
    char where[320];
    snprintf(where, sizeof where, "line %d: %s", error.line, error.text);
    return refuse(loc, "not valid JSON: ", where);
  }
  MlirAttribute attr = json_is_object(root) ? from_object(loc, root)
                                            : refuse(loc, "not an object", "");
  json_decref(root);
  return attr;
}
