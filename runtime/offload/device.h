/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices behind one table (cira/offload.h): what each provides, and the ring
 * they share. A device has somebody who drains the ring: the helper a job of
 * the engine (helper.c), the server a thread of its own (server.c).
 *
 * Invariant: at most one drain runs for a ring; `draining` is set before one is
 * begun and cleared by it when it found the ring empty, after which it looks
 * once more. Jobs are run in order. A drain holds a reference, so close need
 * not wait for its last steps.
 * Reading order: this file, device.c, helper.c, server.c, edges.c.
 */
#ifndef CIRA_OFFLOAD_DEVICE_H
#define CIRA_OFFLOAD_DEVICE_H

#include "base/base.h"
#include "cira/offload.h"

typedef struct {
  uint32_t size; /* sizeof(cira_device_ops_t) */
  uint32_t can;  /* CIRA_OFFLOAD_* */
  const char *name;
  /* Fills o->own. `place`: what stood behind "name:", or NULL. */
  cira_status_t (*open)(cira_offload_t *o, const char *place,
                        const cira_offload_options_t *opt);
  /* The ring is empty, nothing drains it. */
  void (*close)(cira_offload_t *o);
  /* Returns CIRA_OK when begin cannot fail now; else why it would. */
  cira_status_t (*ready)(cira_offload_t *o);
  /* A job for a ring that nobody drains: sees to it that
   * cira__device_drain(o) is called on the device. */
  void (*begin)(cira_offload_t *o);
  /* Runs one job, on the device. */
  cira_status_t (*run)(cira_offload_t *o, const cira_offload_job_t *job,
                       uint64_t *out_value);
} cira_device_ops_t;

extern const cira_device_ops_t cira__device_helper, cira__device_server;

typedef struct {
  cira_offload_job_t job;
  cira_offload_line_t *line;
} cira__device_slot_t;

struct cira_offload {
  const cira_device_ops_t *ops;
  uint32_t depth, core;
  _Atomic uint32_t references;
  cira__device_slot_t *slot;
  void *own; /* the device's */
  uint64_t total_bytes;
  _Alignas(128) _Atomic uint32_t tail; /* written by who submits */
  _Alignas(128) _Atomic uint32_t head; /* written by the drain */
  _Atomic bool draining;
  _Atomic bool waiting; /* somebody sleeps on head */
};

/* Runs what is in the ring, and what comes soon after. Drops the reference that
 * begin was given. */
void cira__device_drain(cira_offload_t *o);
void cira__device_release(cira_offload_t *o);

#endif
