# SPDX-License-Identifier: Apache-2.0
# Random programs of the cira dialect, run in every way that must not change
# their result.
#   programs.py BIN COUNT [SEED] [--all] [--keep FOLDER]
# BIN holds cira-run and cira-jit. Program number k is made of seed SEED + k; as
# it is written as MLIR, the same steps are written as Python, which gives the
# number it has to print. Two ways of WAYS are taken in turns, with --all every
# one. Exit 0: all agree. A failing program is kept and named, with its way.
#
# What a program may not do, the generator keeps account of: elements of a
# living stream or under a pending load are not written ("frozen"), those under
# a pending store are neither read nor written ("busy").
import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile

WAYS = [
    ["--far", "host:", "--local", "1G"],
    ["--far", "host:", "--local", "256K"],
    ["--far", "shm:", "--local", "256K"],
    ["--far", "fault(host:;seed=1)", "--local", "256K"],
    ["--far", "host:", "--local", "256K", "--no-cira-opt"],
    ["--far", "host:", "--local", "256K", "--check"],
    ["--far", "shm:", "--local", "256K", "-O0"],
    ["--far", "fault(host:;seed=1)", "--local", "256K", "--no-cira-opt", "-O1"],
]
TIMEOUT_S = 60

PRELUDE = """
M = (1 << 64) - 1
def w(x):
    x &= M
    return x - (1 << 64) if x >> 63 else x
def n32(x):
    x &= 0xffffffff
    return x - (1 << 32) if x >> 31 else x
def n8(x):
    x &= 0xff
    return x - (1 << 8) if x >> 7 else x
def n16(x):
    x &= 0xffff
    return x - (1 << 16) if x >> 15 else x
"""
SCALARS = {"i16": "i16", "i32": "i32", "i64": "i64", "f64": "f64",
           "f32": "f32"}
FIELDS = ["i32", "f64", "i64"]  # of !Rec


class Array:
    def __init__(self, name, kind, n):
        self.name, self.kind, self.n = name, kind, n
        self.h, self.m, self.len = f"%{name}h", f"%{name}m", f"%{name}n"
        self.elem = "!Rec" if kind == "rec" else kind
        self.handle = f"!cira.handle<{self.elem}>"
        self.memref = f"memref<?x{kind}>"

    def args(self):
        out = [(self.h, self.handle), (self.len, "index")]
        return out + ([(self.m, self.memref)] if self.kind != "rec" else [])


class Program:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.seed = seed
        self.lines, self.functions = [], []
        self.py, self.indent = [], 0
        self.count = 0
        self.in_region = 0
        self.arrays = []
        self.acc = ["%acc0", "%acc1"]
        self.budget = 30000  # elements touched by one top statement

    # -- small things ---------------------------------------------------------
    def new(self):
        self.count += 1
        return f"%v{self.count}"

    def m(self, text):
        self.lines.append(text)

    def p(self, text):
        self.py.append("    " * self.indent + text)

    def const(self, value, type_="i64"):
        """A constant; now and then one that no compiler knows."""
        name = self.new()
        self.m(f"{name} = arith.constant {value} : {type_}")
        if type_ not in ("i64", "index") or self.rng.random() < .6:
            return name
        sum_ = self.new()
        self.m(f"{sum_} = arith.addi {name}, %none_{type_} : {type_}")
        return sum_

    def op(self, name, a, b, python):
        r = self.new()
        self.m(f"{r} = arith.{name} {a[0]}, {b[0]} : i64")
        v = "t" + r[2:]
        self.p(f"{v} = {python.format(a=a[1], b=b[1])}")
        return r, v

    def lit(self, value):
        return self.const(value), str(value)

    def arith(self, a, b):
        name, python = self.rng.choice([
            ("addi", "w({a} + {b})"), ("subi", "w({a} - {b})"),
            ("xori", "{a} ^ {b}"), ("muli", "w({a} * {b})"),
            ("andi", "{a} & {b}"), ("addi", "w({a} + {b})")])
        return self.op(name, a, b, python)

    def to_index(self, a):
        r = self.new()
        self.m(f"{r} = arith.index_cast {a[0]} : i64 to index")
        return r, a[1]

    def acc_pair(self, k):
        return self.acc[k], f"a{k}"

    def leaf(self, ivars):
        roll = self.rng.randrange(4)
        if roll == 0 or not ivars:
            return self.lit(self.rng.choice([1, 3, 7, -5, 12345, 1 << 33]))
        if roll == 1:
            k = self.rng.randrange(2)  # its value now: a name in Python, too
            self.p(f"t{self.new()[2:]} = a{k}")
            return self.acc[k], f"t{self.count}"
        return self.rng.choice(ivars)

    def value(self, ivars, extra=(), depth=2):
        """An i64 of loop variables, accumulators and `extra`."""
        pool = list(extra)
        a = self.rng.choice(pool) if pool else self.leaf(ivars)
        for _ in range(self.rng.randrange(depth + 1)):
            b = self.rng.choice(pool) if pool and self.rng.random() < .4 \
                else self.leaf(ivars)
            a = self.arith(a, b)
        return a

    def position(self, array, ivars, injective=False):
        """(index SSA, Python) below the length of the array."""
        n = array.n
        rng = self.rng
        if ivars and (injective or rng.random() < .85):
            i = ivars[-1] if injective else rng.choice(ivars)
            roll = rng.randrange(5)
            if roll == 0:
                i = self.op("addi", i, self.lit(rng.randrange(1, 40)), "w({a} + {b})")
            elif roll == 1:
                i = self.op("subi", self.lit(1 << 20), i, "w({a} - {b})")
            elif roll == 2:
                i = self.op("muli", i, self.lit(20011 if n % 20011 else 1), "w({a} * {b})")
        else:
            i = self.value(ivars)
        i = self.op("andi", i, self.lit((1 << 40) - 1), "{a} & {b}")
        i = self.op("remui", i, self.lit(n), "{a} % {b}")
        return self.to_index(i)

    # -- memory ---------------------------------------------------------------
    def widen(self, kind, v, python):
        """A loaded element as an i64."""
        r = self.new()
        t = "t" + r[2:]
        if kind == "i64":
            self.m(f"{r} = arith.addi {v}, {self.const(0)} : i64")
        elif kind in ("i8", "i16", "i32"):
            self.m(f"{r} = arith.extsi {v} : {kind} to i64")
        else:
            self.m(f"{r} = arith.fptosi {v} : {kind} to i64")
        self.p(f"{t} = {python}")
        return r, t

    def narrow(self, kind, a):
        """An i64 as an element: (SSA, Python)."""
        if kind == "i64":
            return a
        r = self.new()
        if kind in ("i8", "i16", "i32"):
            self.m(f"{r} = arith.trunci {a[0]} : i64 to {kind}")
            return r, f"n{kind[1:]}({a[1]})"
        b = self.op("andi", a, self.lit(0xfffff), "{a} & {b}")
        self.m(f"{r} = arith.sitofp {b[0]} : i64 to {kind}")
        return r, b[1]

    def where(self, array, field):
        return f"{array.name}_{field}" if array.kind == "rec" else array.name

    def field_of(self, array):
        if array.kind != "rec":
            return 0, array.kind
        k = self.rng.randrange(3)
        return k, FIELDS[k]

    def address(self, array, at, field, kind):
        """A handle op's operand and its type, in one of the spellings."""
        if array.kind == "rec":
            q = self.new()
            self.m(f"{q} = cira.handle_offset {array.h}[{at}] : {array.handle}")
            if self.rng.random() < .5:
                return f"{q}[{field}]", array.handle
            r = self.new()
            self.m(f"{r} = cira.handle_field {q}[{field}] : {array.handle} -> !cira.handle<{kind}>")
            return r, f"!cira.handle<{kind}>"
        roll = self.rng.randrange(4)
        if roll < 2:
            return f"{array.h}[{at}]", array.handle
        if roll == 2:
            q = self.new()
            self.m(f"{q} = cira.handle_offset {array.h}[{at}] : {array.handle}")
            return q, array.handle
        q, r = self.new(), self.new()
        self.m(f"{q} = cira.handle_offset {array.h}[{at}] : {array.handle}")
        self.m(f"{r} = cira.handle_offset {q}[3] : {array.handle}")
        return f"{r}[-3]", array.handle

    def load(self, array, pos):
        at, py = pos
        field, kind = self.field_of(array)
        v = self.new()
        if array.kind != "rec" and self.rng.random() < .35:
            self.m(f"{v} = memref.load {array.m}[{at}] : {array.memref}")
        elif array.kind == "rec" and self.rng.random() < .3:
            q, whole = self.new(), self.new()
            self.m(f"{q} = cira.handle_offset {array.h}[{at}] : {array.handle}")
            self.m(f"{whole} = cira.load {q} : {array.handle} -> !Rec")
            self.m(f"{v} = cira.extract {whole}[{field}] : !Rec -> {kind}")
        else:
            a, type_ = self.address(array, at, field, kind)
            self.m(f"{v} = cira.load {a} : {type_} -> {kind}")
        return self.widen(kind, v, f"{self.where(array, field)}[{py}]")

    def store(self, array, pos, a):
        at, py = pos
        field, kind = self.field_of(array)
        v, vpy = self.narrow(kind, a)
        if array.kind != "rec" and self.rng.random() < .35:
            self.m(f"memref.store {v}, {array.m}[{at}] : {array.memref}")
        else:
            h, type_ = self.address(array, at, field, kind)
            self.m(f"cira.store {v}, {h} : {kind}, {type_}")
        self.p(f"{self.where(array, field)}[{py}] = {vpy}")

    def readable(self, busy):
        return [a for a in self.arrays if a not in busy]

    def writable(self, frozen, busy):
        return [a for a in self.arrays if a not in busy and a not in frozen]

    def update(self, k, a):
        """Folds a value into accumulator k."""
        name, python = self.rng.choice([("addi", "w({a} + {b})"),
                                        ("xori", "{a} ^ {b}"),
                                        ("addi", "w(3 * {a} + {b})")])
        old = self.acc_pair(k)
        if python.startswith("w(3"):
            three = self.new()
            self.m(f"{three} = arith.muli {old[0]}, {self.const(3)} : i64")
            r = self.new()
            self.m(f"{r} = arith.addi {three}, {a[0]} : i64")
        else:
            r = self.new()
            self.m(f"{r} = arith.{name} {old[0]}, {a[0]} : i64")
        self.p(f"a{k} = {python.format(a=old[1], b=a[1])}")
        self.acc[k] = r

    # -- control --------------------------------------------------------------
    def loop_for(self, lo, hi, step, body, carried=()):
        """body(i) with both accumulators carried; i as (i64 SSA, Python)."""
        l, h, s = (self.const(x, "index") for x in (lo, hi, step))
        r, i = self.new(), self.new()
        x, y = self.new(), self.new()
        self.m(f"{r}:2 = scf.for {i} = {l} to {h} step {s} "
               f"iter_args({x} = {self.acc[0]}, {y} = {self.acc[1]}) -> (i64, i64) {{")
        self.acc = [x, y]
        var = "i" + i[2:]
        self.p(f"for {var} in range({lo}, {hi}, {step}):")
        self.indent += 1
        self.p("pass")
        k = self.new()
        self.m(f"{k} = arith.index_cast {i} : index to i64")
        body((k, var), i)
        self.m(f"scf.yield {self.acc[0]}, {self.acc[1]} : i64, i64")
        self.m("}")
        self.indent -= 1
        self.acc = [f"{r}#0", f"{r}#1"]

    def branch(self, cond, then, otherwise):
        """cond: (i1 SSA, Python)."""
        r = self.new()
        before = list(self.acc)
        self.m(f"{r}:2 = scf.if {cond[0]} -> (i64, i64) {{")
        self.p(f"if {cond[1]}:")
        self.indent += 1
        self.p("pass")
        then()
        self.indent -= 1
        self.m(f"scf.yield {self.acc[0]}, {self.acc[1]} : i64, i64")
        self.m("} else {")
        self.acc = before
        self.p("else:")
        self.indent += 1
        self.p("pass")
        otherwise()
        self.indent -= 1
        self.m(f"scf.yield {self.acc[0]}, {self.acc[1]} : i64, i64")
        self.m("}")
        self.acc = [f"{r}#0", f"{r}#1"]

    def condition(self, a):
        k = self.rng.choice([1, 3, 7, 63])
        b = self.op("andi", a, self.lit(k), "{a} & {b}")
        r = self.new()
        self.m(f"{r} = arith.cmpi ne, {b[0]}, {self.const(0)} : i64")
        return r, f"{b[1]} != 0"

    # -- statements -----------------------------------------------------------
    def hints(self, ivars):
        """Hints never change a result, wherever they point."""
        rng = self.rng
        array = rng.choice(self.arrays)
        at = self.position(array, ivars)
        q = self.new()
        self.m(f"{q} = cira.handle_offset {array.h}[{at[0]}] : {array.handle}")
        roll = rng.randrange(4)
        if roll == 0:
            stride = self.const(rng.choice([1, 64, -1, -17, 4096]), "index")
            count = self.const(rng.choice([0, 1, 64, 5000]), "index")
            self.m(f"cira.prefetch_stream {q}, {stride}, {count} : {array.handle}, index, index")
        elif roll == 1:
            level = self.const(rng.choice([1, 2, 3]), "i32")
            self.m(f"cira.install_cacheline {q}, {level} : {array.handle}, i32")
        else:
            self.m(f"cira.evict_hint {q} : {array.handle}")

    def straight(self, ivars, frozen, busy, steps):
        rng = self.rng
        for _ in range(steps):
            roll = rng.random()
            if roll < .35:
                self.update(rng.randrange(2), self.load_any(ivars, busy))
            elif roll < .65 and self.writable(frozen, busy):
                array = rng.choice(self.writable(frozen, busy))
                got = [self.load_any(ivars, busy)] if rng.random() < .6 else []
                v = self.value(ivars, got)
                self.store(array, self.position(array, ivars), v)
            elif roll < .72:
                self.hints(ivars)
            elif roll < .86:
                self.async_group(ivars, frozen, busy)
            else:
                self.update(rng.randrange(2), self.value(ivars))

    def load_any(self, ivars, busy):
        array = self.rng.choice(self.readable(busy))
        return self.load(array, self.position(array, ivars))

    def async_group(self, ivars, frozen, busy):
        """Loads begun together, something else, then all awaits in any order."""
        rng = self.rng
        begun, used, batch = [], [], []
        together = rng.random() < .2
        for _ in range(rng.randrange(2 if together else 1, 5)):
            array = rng.choice(self.readable(busy))
            at, py = self.position(array, ivars)
            field, kind = self.field_of(array)
            if together:
                q, h, f = self.new(), self.new(), self.new()
                self.m(f"{q} = cira.handle_offset {array.h}[{at}] : {array.handle}")
                if array.kind == "rec":
                    self.m(f"{h} = cira.handle_field {q}[{field}] : {array.handle} -> !cira.handle<{kind}>")
                else:
                    h = q
                batch.append((h, kind))
                f = (len(batch) - 1, f)
            else:
                a, type_ = self.address(array, at, field, kind)
                f = self.new()
                self.m(f"{f} = cira.load_async {a} : {type_} -> !cira.future<{kind}>")
            v = "f" + (f[1] if together else f)[2:]
            self.p(f"{v} = {self.where(array, field)}[{py}]")
            begun.append((f, kind, v))
            used.append(array)
        if together:
            all_ = self.new()
            handles = ", ".join(h for h, _ in batch)
            types = ", ".join(f"!cira.handle<{k}>" for _, k in batch)
            futures = ", ".join(f"!cira.future<{k}>" for _, k in batch)
            self.m(f"{all_}:{len(batch)} = cira.load_async_batch {handles} : {types} -> {futures}")
            begun = [(f"{all_}#{f[0]}", kind, v) for f, kind, v in begun]
        if rng.random() < .5:
            self.straight_simple(ivars, frozen + used, busy)
        rng.shuffle(begun)
        for k, (f, kind, v) in enumerate(begun):
            if k > 0 and rng.random() < .15:
                continue  # nobody awaits this one
            x = self.new()
            self.m(f"{x} = cira.await {f} : !cira.future<{kind}> -> {kind}")
            self.update(rng.randrange(2), self.widen(kind, x, v))

    def straight_simple(self, ivars, frozen, busy):
        targets = self.writable(frozen, busy)
        if targets:
            array = self.rng.choice(targets)
            self.store(array, self.position(array, ivars), self.value(ivars))
        self.update(self.rng.randrange(2), self.load_any(ivars, busy))

    def store_async_loop(self, ivars, frozen, busy, budget):
        rng = self.rng
        targets = self.writable(frozen, busy)
        if not targets:
            return
        array = rng.choice(targets)
        field, kind = self.field_of(array)
        with_token = rng.random() < .4
        trips = min(array.n, max(1, budget // 2), rng.choice([1, 7, 300, 4000]))

        def body(i, _):
            others = busy + ([] if with_token else [array])
            got = [self.load_any(ivars + [i], others)] if self.readable(others) else []
            v, vpy = self.narrow(kind, self.value(ivars + [i], got))
            # Each element once: two pending stores have no order.
            at, py = self.to_index(self.op("remui", i, self.lit(array.n), "{a} % {b}"))
            h, type_ = self.address(array, at, field, kind)
            place = f"{self.where(array, field)}[{py}]"
            if with_token:
                t = self.new()
                self.m(f"{t} = cira.store_async {v}, {h} : {kind}, {type_} -> !cira.token")
                self.m(f"cira.sync_token_wait {t}")
            else:
                self.m(f"cira.store_async {v}, {h} : {kind}, {type_}")
            self.p(f"{place} = {vpy}")
        self.loop_for(0, trips, 1, body)
        if not with_token:
            self.m(rng.choice(["cira.fence", "cira.release"]))

    def plain_loop(self, ivars, frozen, busy, budget):
        trips = self.rng.choice([0, 1, 2, 17, budget // 8, budget // 4])
        step = self.rng.choice([1, 1, 1, 3])
        inner = self.rng.random() < .3 and budget > 400

        def body(i, _):
            self.straight(ivars + [i], frozen, busy, self.rng.randrange(1, 4))
            if self.rng.random() < .3:
                c = self.condition(self.value(ivars + [i]))
                self.branch(c, lambda: self.straight(ivars + [i], frozen, busy, 1),
                            lambda: self.straight(ivars + [i], frozen, busy, 1))
            if inner:
                self.statement(ivars + [i], frozen, busy, budget // max(trips, 20))
        if inner:
            trips = min(trips, 20)
        self.loop_for(self.rng.choice([0, 0, 2]), trips * step, step, body)

    def while_loop(self, ivars, frozen, busy, budget):
        """Ends at a count or when the data says so."""
        rng = self.rng
        trips = rng.choice([1, 9, max(1, budget // 4)])
        array = rng.choice(self.readable(busy))
        stop = rng.choice([0x7ff, 0xff, 0xffff])
        r, i0 = self.new(), self.const(0)
        k, x, y = self.new(), self.new(), self.new()
        self.m(f"{r}:3 = scf.while ({k} = {i0}, {x} = {self.acc[0]}, {y} = {self.acc[1]})"
               f" : (i64, i64, i64) -> (i64, i64, i64) {{")
        var = "i" + k[2:]
        self.acc = [x, y]
        self.p(f"{var} = 0")
        self.p("while True:")
        self.indent += 1
        got = self.load(array, self.position(array, [(k, var)]))
        low = self.op("andi", got, self.lit(stop), "{a} & {b}")
        c1, c2, c = self.new(), self.new(), self.new()
        self.m(f"{c1} = arith.cmpi slt, {k}, {self.const(trips)} : i64")
        self.m(f"{c2} = arith.cmpi ne, {low[0]}, {self.const(stop)} : i64")
        self.m(f"{c} = arith.andi {c1}, {c2} : i1")
        self.update(0, got)
        self.p(f"if not ({var} < {trips} and {low[1]} != {stop}): break")
        self.m(f"scf.condition({c}) {k}, {self.acc[0]}, {self.acc[1]} : i64, i64, i64")
        self.m("} do {")
        k, x, y = self.new(), self.new(), self.new()
        self.m(f"^bb0({k}: i64, {x}: i64, {y}: i64):")
        self.acc = [x, y]
        self.straight(ivars + [(k, var)], frozen, busy, rng.randrange(1, 3))
        up = self.new()
        self.m(f"{up} = arith.addi {k}, {self.const(1)} : i64")
        self.p(f"{var} += 1")
        self.m(f"scf.yield {up}, {self.acc[0]}, {self.acc[1]} : i64, i64, i64")
        self.m("}")
        self.indent -= 1
        self.acc = [f"{r}#1", f"{r}#2"]

    def carried_future(self, ivars, frozen, busy, budget):
        """Each load is begun one iteration before it is awaited."""
        rng = self.rng
        array = rng.choice(self.readable(busy))
        field, kind = self.field_of(array)
        trips = rng.choice([0, 1, budget // 4])
        place = self.where(array, field)

        def begin(iv):
            at, py = self.position(array, iv)
            a, type_ = self.address(array, at, field, kind)
            f = self.new()
            self.m(f"{f} = cira.load_async {a} : {type_} -> !cira.future<{kind}>")
            self.p(f"held = {place}[{py}]")
            return f
        first = begin(ivars)
        l, h, s = (self.const(x, "index") for x in (0, trips, 1))
        r, i, x, y, f = (self.new() for _ in range(5))
        self.m(f"{r}:3 = scf.for {i} = {l} to {h} step {s} iter_args({f} = {first}, "
               f"{x} = {self.acc[0]}, {y} = {self.acc[1]}) -> (!cira.future<{kind}>, i64, i64) {{")
        self.acc = [x, y]
        var = "i" + i[2:]
        self.p(f"for {var} in range({trips}):")
        self.indent += 1
        k = self.new()
        self.m(f"{k} = arith.index_cast {i} : index to i64")
        self.p("before = held")
        nxt = begin(ivars + [(k, var)])
        v = self.new()
        self.m(f"{v} = cira.await {f} : !cira.future<{kind}> -> {kind}")
        self.update(rng.randrange(2), self.widen(kind, v, "before"))
        self.m(f"scf.yield {nxt}, {self.acc[0]}, {self.acc[1]} : !cira.future<{kind}>, i64, i64")
        self.m("}")
        self.indent -= 1
        self.acc = [f"{r}#1", f"{r}#2"]
        v = self.new()
        self.m(f"{v} = cira.await {r}#0 : !cira.future<{kind}> -> {kind}")
        self.update(0, self.widen(kind, v, "held"))

    # -- streams --------------------------------------------------------------
    def make_stream(self, busy, budget, ivars):
        """(SSA, array, other arrays read, element list in Python, count)."""
        rng = self.rng
        array = rng.choice(self.readable(busy))
        index = [b for b in self.readable(busy) if b.kind in ("i16", "i32", "i64")
                 and b is not array]
        s = self.new()
        py = "s" + s[2:]
        on_memref = array.kind != "rec" and rng.random() < .4
        base, type_ = (array.m, array.memref) if on_memref else (array.h, array.handle)
        most = max(1, budget // 3)
        if rng.random() < .3 and array.n > 20:
            # The positions are made here, so that they are in range.
            span = min(array.n, 20000)
            n = rng.choice([0, 1, min(most, 3000)])
            kind = rng.choice(["i16", "i32", "i64", "index"])
            b, nn = self.new(), self.const(max(n, 1), "index")
            self.m(f"{b} = memref.alloc({nn}) : memref<?x{kind}>")
            self.p(f"{py}b = []")

            mul, add = rng.choice([1, 7, 20011]), rng.randrange(span)

            def fill(i, at):
                v = self.op("muli", i, self.lit(mul), "w({a} * {b})")
                v = self.op("addi", v, self.lit(add), "w({a} + {b})")
                v = self.op("remui", v, self.lit(span), "{a} % {b}")
                x = self.new()
                if kind == "index":
                    x = self.to_index(v)[0]
                elif kind == "i64":
                    x = v[0]
                else:
                    self.m(f"{x} = arith.trunci {v[0]} : i64 to {kind}")
                self.m(f"memref.store {x}, {b}[{at}] : memref<?x{kind}>")
                self.p(f"{py}b.append({v[1]})")
            self.loop_for(0, n, 1, fill)
            back = n > 0 and rng.random() < .3
            start, stride = (n - 1, -1) if back else (0, 1)
            c = [self.const(x, "index") for x in (start, stride, n)]
            self.m(f"{s} = cira.stream_create_indexed {base}, {b}, {c[0]}, {c[1]}, {c[2]} : "
                   f"{type_}, memref<?x{kind}>, index, index, index -> !cira.stream")
            self.p(f"{py} = [{py}b[{start} + {stride} * k] for k in range({n})]")
            return s, array, py, n, f"memref.dealloc {b} : memref<?x{kind}>"
        stride = rng.choice([1, 1, 2, 5, -1, -3, 517])
        reach = (array.n - 1) // abs(stride) + 1
        n = rng.choice([0, 1, min(2, reach), min(reach, most), min(reach, most)])
        slack = array.n - 1 - max(n - 1, 0) * abs(stride)
        start = rng.randrange(max(slack, 0) + 1)
        if stride < 0:
            start = array.n - 1 - start
        c = [self.const(x, "index") for x in (start, stride, n)]
        self.m(f"{s} = cira.stream_create_strided {base}, {c[0]}, {c[1]}, {c[2]} : "
               f"{type_}, index, index, index -> !cira.stream")
        self.p(f"{py} = [{start} + {stride} * k for k in range({n})]")
        return s, array, py, n, None

    def peek(self, stream):
        """Peeks; gives a function that awaits and widens one part."""
        s, array, py = stream[:3]
        f = self.new()
        kind = array.kind
        v = "f" + f[2:]
        if kind == "rec":
            self.m(f"{f} = cira.peek_stream {s} : !cira.stream -> !cira.future<!Rec>")
            self.p(f"{v} = {py}[{py}_at]")
        else:
            self.m(f"{f} = cira.peek_stream {s} : !cira.stream -> !cira.future<{kind}>")
            self.p(f"{v} = {array.name}[{py}[{py}_at]]")

        def take():
            x = self.new()
            if kind == "rec":
                part = self.rng.randrange(3)
                y = self.new()
                self.m(f"{x} = cira.await {f} : !cira.future<!Rec> -> !Rec")
                self.m(f"{y} = cira.extract {x}[{part}] : !Rec -> {FIELDS[part]}")
                return self.widen(FIELDS[part], y, f"{array.name}_{part}[{v}]")
            self.m(f"{x} = cira.await {f} : !cira.future<{kind}> -> {kind}")
            return self.widen(kind, x, v)
        return take

    def advance(self, stream, times=1):
        for _ in range(times):
            self.m(f"cira.advance_stream {stream[0]} : !cira.stream")
            self.p(f"{stream[2]}_at = min({stream[2]}_at + 1, len({stream[2]}))")

    def ask_ahead(self, stream):
        d = self.const(self.rng.choice([1, 16, 512, 100000]), "index")
        text = f"cira.prefetch_stream {stream[0]}, {d} : !cira.stream, index"
        roll = self.rng.randrange(3)
        if roll == 0:
            self.m(text)
        elif roll == 1 and not self.in_region:
            self.m("cira.offload @vortex {")
            self.m(text)
            self.m("}")

    def stream_body(self, streams, ivars, frozen, busy):
        """One step: peeks, awaits before or after moving, a branch at times."""
        rng = self.rng
        takes = [self.peek(s) for s in streams]
        if rng.random() < .2:
            takes.append(self.peek(streams[0]))
        late = rng.random() < .4
        if not late:
            for t in takes:
                self.update(rng.randrange(2), t())
        if rng.random() < .2:
            self.straight(ivars, frozen, busy, 1)
        for s in streams:
            self.advance(s)
        if late:
            for t in takes:
                self.update(rng.randrange(2), t())

    def stream(self, ivars, frozen, busy, budget):
        rng = self.rng
        streams = [self.make_stream(busy, budget, ivars)]
        if rng.random() < .3:
            streams.append(self.make_stream(busy, budget, ivars))
        self.count += 1
        for s in streams:
            self.p(f"{s[2]}_at = 0")
            if rng.random() < .7:
                self.ask_ahead(s)
        held = frozen + [s[1] for s in streams]
        n = min(s[3] for s in streams)
        shape = rng.randrange(7)
        if n == 0 and shape != 1:
            shape = 0
        if shape == 0:
            self.loop_for(0, n, 1, lambda i, _: self.stream_body(
                streams, ivars + [i], held, busy))
        elif shape == 1:
            self.stream_while(streams, n, ivars, held, busy)
        elif shape == 2:
            # A branch peeks, every step moves.
            def body(i, _):
                def look():
                    self.update(rng.randrange(2), self.peek(streams[0])())
                self.branch(self.condition(i), look, lambda: None)
                for s in streams:
                    self.advance(s)
            self.loop_for(0, n, 1, body)
        elif shape == 3:
            # Two nested loops move one stream.
            rows = max(1, n // rng.choice([2, 5, 9]))
            self.loop_for(0, n // rows, 1, lambda i, _: self.loop_for(
                0, rows, 1, lambda j, _: self.stream_body(
                    streams, ivars + [i, j], held, busy)))
        elif shape == 4:
            # Skips, and leaves early.
            def body(i, _):
                self.advance(streams[0])
                self.update(1, self.peek(streams[0])())
                self.advance(streams[0])
            self.loop_for(0, n // 3, 1, body)
        elif shape == 5:
            self.stream_function(streams[0], n)
        else:
            # In pieces: a loop, straight code, another loop; in between a
            # branch moves it or does not.
            cut = rng.randrange(n)
            self.loop_for(0, cut, 1, lambda i, _: self.stream_body(
                streams[:1], ivars + [i], held, busy))
            self.update(0, self.peek(streams[0])())
            self.branch(self.condition(self.acc_pair(0)),
                        lambda: self.advance(streams[0]), lambda: None)
            self.loop_for(0, max(0, n - cut - 1), 1, lambda i, _: self.stream_body(
                streams[:1], ivars + [i], held, busy))
        last = None
        if shape == 4 and rng.random() < .5:
            last = self.peek(streams[0])
        for s in streams:
            self.m(f"cira.stream_release {s[0]} : !cira.stream")
            if s[4]:
                self.m(s[4])
        if last:  # futures outlive their stream
            self.update(0, last())

    def stream_of_handles(self, ivars, frozen, busy, budget):
        """Over pointers: what they point to, and the pointers."""
        rng = self.rng
        array = rng.choice(self.readable(busy))
        if array.kind == "rec":
            return
        n = rng.choice([1, 5, max(1, budget // 5)])
        b, nn, s = self.new(), self.const(n, "index"), self.new()
        t = f"memref<?x{array.handle}>"
        self.m(f"{b} = memref.alloc({nn}) : {t}")
        py = "b" + b[2:]
        self.p(f"{py} = []")

        def fill(i, at):
            x = self.position(array, [i])
            q = self.new()
            self.m(f"{q} = cira.handle_offset {array.h}[{x[0]}] : {array.handle}")
            self.m(f"memref.store {q}, {b}[{at}] : {t}")
            self.p(f"{py}.append({x[1]})")
        self.loop_for(0, n, 1, fill)
        if rng.random() < .4:  # a plain loop, for the passes to find
            def plain(i, at):
                q, x = self.new(), self.new()
                self.m(f"{q} = memref.load {b}[{at}] : {t}")
                self.m(f"{x} = cira.load {q} : {array.handle} -> {array.kind}")
                self.update(0, self.widen(array.kind, x, f"{array.name}[{py}[{i[1]}]]"))
                if rng.random() < .4 and self.writable(frozen, busy):
                    self.store(array, self.position(array, [i]), i) \
                        if array in self.writable(frozen, busy) else None
            self.loop_for(0, n, 1, plain)
            self.m(f"memref.dealloc {b} : {t}")
            return
        back = rng.random() < .3
        c = [self.const(x, "index") for x in ((n - 1, -1, n) if back else (0, 1, n))]
        self.m(f"{s} = cira.stream_create_strided {b}, {c[0]}, {c[1]}, {c[2]} : "
               f"{t}, index, index, index -> !cira.stream")
        if rng.random() < .7:
            self.ask_ahead((s,))
        form = rng.randrange(3)

        def body(i, _):
            at = f"{py}[{n} - 1 - {i[1]}]" if back else f"{py}[{i[1]}]"
            if form != 1:
                f, x = self.new(), self.new()
                self.m(f"{f} = cira.peek_stream {s} : !cira.stream -> !cira.future<{array.kind}>")
                self.m(f"{x} = cira.await {f} : !cira.future<{array.kind}> -> {array.kind}")
                self.update(0, self.widen(array.kind, x, f"{array.name}[{at}]"))
            if form != 0:
                f, h, x = self.new(), self.new(), self.new()
                self.m(f"{f} = cira.peek_stream {s} : !cira.stream -> !cira.future<{array.handle}>")
                self.m(f"{h} = cira.await {f} : !cira.future<{array.handle}> -> {array.handle}")
                self.m(f"{x} = cira.load {h} : {array.handle} -> {array.kind}")
                self.update(1, self.widen(array.kind, x, f"{array.name}[{at}]"))
            self.m(f"cira.advance_stream {s} : !cira.stream")
        self.loop_for(0, n, 1, body)
        self.m(f"cira.stream_release {s} : !cira.stream")
        self.m(f"memref.dealloc {b} : {t}")

    def moved_pointer(self, ivars, frozen, busy, budget):
        """A pointer that moves on, and reads or changes what it passes."""
        rng = self.rng
        array = rng.choice(self.readable(busy))
        step = rng.choice([1, 2, -1])
        n = min(max(1, budget // 4), (array.n - 1) // abs(step) + 1)
        start = array.n - 1 if step < 0 else 0
        field, kind = self.field_of(array)
        part = f"[{field}]" if array.kind == "rec" else ""
        change = array in self.writable(frozen, busy) and rng.random() < .5
        p, c = self.new(), self.const(start, "index")
        self.m(f"{p} = cira.handle_offset {array.h}[{c}] : {array.handle}")
        l, h, s = (self.const(x, "index") for x in (0, n, 1))
        r, i, x, y, q = (self.new() for _ in range(5))
        self.m(f"{r}:3 = scf.for {i} = {l} to {h} step {s} iter_args({q} = {p}, "
               f"{x} = {self.acc[0]}, {y} = {self.acc[1]}) -> ({array.handle}, i64, i64) {{")
        self.acc = [x, y]
        var = "i" + i[2:]
        self.p(f"for {var} in range({n}):")
        self.indent += 1
        v, nxt = self.new(), self.new()
        place = f"{self.where(array, field)}[{start} + {step} * {var}]"
        self.m(f"{v} = cira.load {q}{part} : {array.handle} -> {kind}")
        got = self.widen(kind, v, place)
        self.update(rng.randrange(2), got)
        if change:
            w, wpy = self.narrow(kind, self.arith(got, self.acc_pair(0)))
            self.m(f"cira.store {w}, {q}{part} : {kind}, {array.handle}")
            self.p(f"{place} = {wpy}")
        by = self.const(step, "index")
        self.m(f"{nxt} = cira.handle_offset {q}[{by}] : {array.handle}")
        self.m(f"scf.yield {nxt}, {self.acc[0]}, {self.acc[1]} : {array.handle}, i64, i64")
        self.m("}")
        self.indent -= 1
        self.acc = [f"{r}#1", f"{r}#2"]

    def parallel(self, ivars, frozen, busy, budget):
        """scf.parallel: each iteration writes an element of its own."""
        targets = [a for a in self.writable(frozen, busy) if a.kind != "rec"]
        if not targets:
            return
        rng = self.rng
        array = rng.choice(targets)
        n = min(array.n, max(1, budget // 4))
        l, h, s = (self.const(x, "index") for x in (0, n, 1))
        i, k = self.new(), self.new()
        self.m(f"scf.parallel ({i}) = ({l}) to ({h}) step ({s}) {{")
        var = "i" + i[2:]
        self.p(f"for {var} in range({n}):")
        self.indent += 1
        self.m(f"{k} = arith.index_cast {i} : index to i64")
        got = [self.load_any([(k, var)], busy + [array])] if len(self.readable(busy)) > 1 else []
        own = self.load(array, (i, var))
        self.store(array, (i, var), self.value([(k, var)], got + [own]))
        self.m("scf.reduce")
        self.m("}")
        self.indent -= 1

    def stream_while(self, streams, n, ivars, held, busy):
        rng = self.rng
        stop = rng.choice([0x1ff, 0x3f, 0xffff])
        r = self.new()
        k, x, y, go = self.new(), self.new(), self.new(), self.new()
        t = self.new()
        self.m(f"{t} = arith.constant true")
        self.m(f"{r}:4 = scf.while ({k} = {self.const(0)}, {x} = {self.acc[0]}, "
               f"{y} = {self.acc[1]}, {go} = {t}) : (i64, i64, i64, i1) -> (i64, i64, i64, i1) {{")
        var = "i" + k[2:]
        self.p(f"{var}, {var}go = 0, True")
        self.p(f"while {var} < {n} and {var}go:")
        c1, c = self.new(), self.new()
        self.m(f"{c1} = arith.cmpi slt, {k}, {self.const(n)} : i64")
        self.m(f"{c} = arith.andi {c1}, {go} : i1")
        self.m(f"scf.condition({c}) {k}, {x}, {y}, {go} : i64, i64, i64, i1")
        self.m("} do {")
        k, x, y, go = self.new(), self.new(), self.new(), self.new()
        self.m(f"^bb0({k}: i64, {x}: i64, {y}: i64, {go}: i1):")
        self.acc = [x, y]
        self.indent += 1
        take = self.peek(streams[0])
        if rng.random() < .3:
            self.straight(ivars + [(k, var)], held, busy, 1)
        got = take()
        self.update(rng.randrange(2), got)
        for s in streams:
            self.advance(s)
        low = self.op("andi", got, self.lit(stop), "{a} & {b}")
        more = self.new()
        self.m(f"{more} = arith.cmpi ne, {low[0]}, {self.const(stop)} : i64")
        self.p(f"{var}go = {low[1]} != {stop}")
        up = self.new()
        self.m(f"{up} = arith.addi {k}, {self.const(1)} : i64")
        self.p(f"{var} += 1")
        self.m(f"scf.yield {up}, {self.acc[0]}, {self.acc[1]}, {more} : i64, i64, i64, i1")
        self.m("}")
        self.indent -= 1
        self.acc = [f"{r}#1", f"{r}#2"]

    def stream_function(self, stream, n):
        """Half of it is read by a function that does not see its maker."""
        name = f"walk{self.count}"
        half = n // 2
        outer, acc = self.lines, self.acc
        self.lines, self.acc = [], ["%acc0", "%acc1"]
        self.loop_for(0, half, 1, lambda i, _: self.stream_body([("%s",) + stream[1:]], [i],
                                                                self.arrays, []))
        self.functions.append(
            [f"func.func private @{name}(%s: !cira.stream, %acc0: i64, %acc1: i64{self.args()})"
             f" -> (i64, i64) {{"] + self.lines +
            [f"return {self.acc[0]}, {self.acc[1]} : i64, i64", "}"])
        self.lines = outer
        r = self.new()
        passed, types = self.passed()
        self.m(f"{r}:2 = func.call @{name}({stream[0]}, {acc[0]}, {acc[1]}{passed}) : "
               f"(!cira.stream, i64, i64{types}) -> (i64, i64)")
        self.acc = [f"{r}#0", f"{r}#1"]
        self.loop_for(0, n - half, 1, lambda i, _: self.stream_body([stream], [i], self.arrays, []))

    def args(self):
        return ", %none_i64: i64, %none_index: index" + "".join(
            f", {a}: {t}" for x in self.arrays for a, t in x.args())

    def passed(self):
        pairs = [("%none_i64", "i64"), ("%none_index", "index")]
        pairs += [p for x in self.arrays for p in x.args()]
        return ("".join(f", {a}" for a, _ in pairs), "".join(f", {t}" for _, t in pairs))

    # -- chains ---------------------------------------------------------------
    def chain(self, ivars, frozen, busy, budget):
        """A list in some order, walked plainly, as a stream, and partly."""
        rng = self.rng
        n = rng.choice([1, 2, 100, max(3, budget // 4)])
        pad = rng.choice(["!Node", "!Fat"])
        at_link = 8 if pad == "!Node" else 0
        f_data, f_link = (0, 1) if pad == "!Node" else (1, 0)
        mul = rng.choice([1, 20011, 7])
        while n > 1 and any(n % d == 0 and mul % d == 0 for d in (7, 20011)):
            n += 1
        h, nn = self.new(), self.const(n, "index")
        t = f"!cira.handle<{pad}>"
        tier = rng.choice(["", " tier(far)", " tier(cxl)"])
        self.m(f"{h} = cira.alloc({nn}){tier} : {t}")
        null = self.new()
        self.m(f"{null} = cira.handle_null : {t}")
        py = "c" + h[2:]
        self.p(f"{py} = [0] * {n}")
        salt = self.lit(rng.randrange(1000))

        def build(i, at):
            ops = []
            for k in (0, 1):
                v = self.op("addi", i, self.lit(k), "w({a} + {b})")
                v = self.op("muli", v, self.lit(mul), "w({a} * {b})")
                v = self.op("remui", v, self.lit(n), "{a} % {b}")
                x = self.to_index(v)
                q = self.new()
                self.m(f"{q} = cira.handle_offset {h}[{x[0]}] : {t}")
                ops.append((q, v))
            (node, _), (there, v) = ops
            last, link = self.new(), self.new()
            self.m(f"{last} = arith.cmpi eq, {i[0]}, {self.const(n - 1)} : i64")
            self.m(f"{link} = arith.select {last}, {null}, {there} : {t}")
            data = self.arith(self.op("xori", i, salt, "{a} ^ {b}"), i)
            self.m(f"cira.store {data[0]}, {node}[{f_data}] : i64, {t}")
            self.m(f"cira.store {link}, {node}[{f_link}] : {t}, {t}")
            self.p(f"{py}[{i[1]}] = {data[1]}")
        self.loop_for(0, n, 1, build)
        for _ in range(rng.randrange(1, 4)):
            form = rng.randrange(3)
            if form == 2:
                s = self.new()
                off = self.const(at_link, "index")
                self.m(f"{s} = cira.stream_create_indirect {h}, {off} : {t}, index -> !cira.stream")
                if rng.random() < .7:
                    self.m("cira.offload @vortex_core_0 {" if not self.in_region else "")
                    d = self.const(16, "index")
                    self.m(f"cira.prefetch_chain {s}, {d} : !cira.stream, index")
                    self.m("}" if not self.in_region else "")
                steps = rng.choice([n, n, n // 2])

                def step(i, _):
                    f, v, x = self.new(), self.new(), self.new()
                    self.m(f"{f} = cira.peek_stream {s} : !cira.stream -> !cira.future<{pad}>")
                    self.m(f"cira.advance_stream {s} : !cira.stream")
                    self.m(f"{v} = cira.await {f} : !cira.future<{pad}> -> {pad}")
                    self.m(f"{x} = cira.extract {v}[{f_data}] : {pad} -> i64")
                    self.update(0, self.widen("i64", x, f"{py}[{i[1]}]"))
                self.loop_for(0, steps, 1, step)
                self.m(f"cira.stream_release {s} : !cira.stream")
                continue
            # As the list traversal of the examples; form 1 leaves early.
            limit = n if form == 0 else max(1, n - rng.randrange(n))
            r, k = self.new(), self.const(0)
            node, x, y, c = (self.new() for _ in range(4))
            cnt = self.new()
            self.m(f"{r}:4 = scf.while ({node} = {h}, {x} = {self.acc[0]}, {y} = {self.acc[1]}, "
                   f"{cnt} = {k}) : ({t}, i64, i64, i64) -> ({t}, i64, i64, i64) {{")
            end, no, less, yes = (self.new() for _ in range(4))
            self.m(f"{end} = cira.handle_is_null {node} : {t}")
            self.m(f"{yes} = arith.constant true")
            self.m(f"{no} = arith.xori {end}, {yes} : i1")
            if form == 1:
                self.m(f"{less} = arith.cmpi slt, {cnt}, {self.const(limit)} : i64")
                self.m(f"{c} = arith.andi {no}, {less} : i1")
            else:
                c = no
            self.m(f"scf.condition({c}) {node}, {x}, {y}, {cnt} : {t}, i64, i64, i64")
            self.m("} do {")
            node, x, y, cnt = (self.new() for _ in range(4))
            self.m(f"^bb0({node}: {t}, {x}: i64, {y}: i64, {cnt}: i64):")
            self.acc = [x, y]
            var = "k" + cnt[2:]
            self.p(f"for {var} in range({limit}):")
            self.indent += 1
            v, nxt, up = self.new(), self.new(), self.new()
            self.m(f"{v} = cira.load {node}[{f_data}] : {t} -> i64")
            self.m(f"{nxt} = cira.load {node}[{f_link}] : {t} -> {t}")
            got = self.widen("i64", v, f"{py}[{var}]")
            self.update(rng.randrange(2), got)
            if form == 0 and rng.random() < .4:  # writes the node it is at
                z = self.arith(got, (cnt, var))
                self.m(f"cira.store {z[0]}, {node}[{f_data}] : i64, {t}")
                self.p(f"{py}[{var}] = {z[1]}")
            self.m(f"{up} = arith.addi {cnt}, {self.const(1)} : i64")
            self.m(f"scf.yield {nxt}, {self.acc[0]}, {self.acc[1]}, {up} : {t}, i64, i64, i64")
            self.m("}")
            self.indent -= 1
            self.acc = [f"{r}#1", f"{r}#2"]
        if rng.random() < .8:
            self.m(f"cira.dealloc {h} : {t}")

    # -- offload --------------------------------------------------------------
    def offload_result(self, ivars, frozen, busy, budget):
        outer, r = list(self.acc), self.new()
        x, y = self.new(), self.new()
        self.m(f"{r}:2 = cira.offload @helper({outer[0]}, {outer[1]} : i64, i64) -> i64, i64 {{")
        self.m(f"^bb0({x}: i64, {y}: i64):")
        self.acc = [x, y]
        self.in_region += 1
        for _ in range(self.rng.randrange(1, 3)):
            self.statement(ivars, frozen, busy, budget // 2)
        self.in_region -= 1
        self.m(f"cira.yield {self.acc[0]}, {self.acc[1]} : i64, i64")
        self.m("}")
        self.acc = [f"{r}#0", f"{r}#1"]

    def offload_write(self, ivars, frozen, busy, budget):
        """A region writes one array while the host works on the others."""
        rng = self.rng
        targets = self.writable(frozen, busy)
        if len(self.arrays) < 2 or not targets or len(self.readable(busy)) < 2:
            return
        array = rng.choice(targets)
        by_token = rng.random() < .5
        token = None
        if by_token:
            token = self.new()
            self.m(f"{token} = cira.sync_token_create")
        salt = self.value(ivars)
        host = list(self.acc)
        self.m("cira.offload @helper {")
        trips = min(array.n, budget // 3)
        self.acc = [self.const(1), self.const(2)]
        held0, held1 = f"h{self.count}a", f"h{self.count}b"
        self.p(f"{held0}, {held1} = a0, a1")
        self.p("a0, a1 = 1, 2")
        self.in_region += 1

        def body(i, _):
            old = self.load(array, self.position(array, [i]))
            self.update(0, old)
            self.store(array, self.position(array, [i]), self.arith(self.arith(old, i), salt))
        self.loop_for(0, trips, 1, body)
        self.in_region -= 1
        if by_token:
            self.m(f"cira.sync_token_signal {token}")
        self.m("}")
        self.p(f"a0, a1 = {held0}, {held1}")
        self.acc = host
        if rng.random() < .7:
            self.plain_loop(ivars, frozen, busy + [array], budget // 3)
        self.m(f"cira.sync_token_wait {token}" if by_token else "cira.barrier")

    def copy(self, ivars, frozen, busy, budget):
        """memref.copy and a subview of the same kind."""
        rng = self.rng
        pairs = [(a, b) for a in self.readable(busy) for b in self.writable(frozen, busy)
                 if a is not b and a.kind == b.kind != "rec"]
        if not pairs:
            return
        a, b = rng.choice(pairs)
        n = min(a.n, b.n) // 2
        o1, o2 = rng.randrange(a.n - n + 1), rng.randrange(b.n - n + 1)
        s = rng.choice([1, 2]) if n > 4 else 1
        n //= s
        views = []
        for x, o in ((a, o1), (b, o2)):
            v = self.new()
            oo, cc = self.const(o, "index"), self.const(n, "index")
            t = f"memref<?x{x.kind}, strided<[{s}], offset: ?>>"
            self.m(f"{v} = memref.subview {x.m}[{oo}] [{cc}] [{s}] : {x.memref} to {t}")
            views.append((v, t))
        self.m(f"memref.copy {views[0][0]}, {views[1][0]} : {views[0][1]} to {views[1][1]}")
        self.p(f"for k in range({n}): {b.name}[{o2} + {s} * k] = {a.name}[{o1} + {s} * k]")

    def function(self, ivars, frozen, busy, budget):
        """Some statements as a function of their own."""
        name = f"part{self.new()[1:]}"
        outer, acc = self.lines, self.acc
        self.lines, self.acc = [], ["%acc0", "%acc1"]
        for _ in range(2):
            self.statement([], frozen, busy, budget // 2)
        self.functions.append(
            [f"func.func private @{name}(%acc0: i64, %acc1: i64{self.args()}) -> (i64, i64) {{"]
            + self.lines + [f"return {self.acc[0]}, {self.acc[1]} : i64, i64", "}"])
        self.lines = outer
        r = self.new()
        passed, types = self.passed()
        self.m(f"{r}:2 = {self.rng.choice(['func', 'cira'])}.call @{name}({acc[0]}, {acc[1]}{passed})"
               f" : (i64, i64{types}) -> (i64, i64)")
        self.acc = [f"{r}#0", f"{r}#1"]

    def statement(self, ivars, frozen, busy, budget):
        kinds = [(self.plain_loop, 4), (self.while_loop, 2), (self.carried_future, 1),
                 (self.store_async_loop, 1), (self.stream, 5), (self.chain, 2), (self.copy, 1),
                 (self.stream_of_handles, 2), (self.moved_pointer, 2), (self.parallel, 1)]
        if not self.in_region:
            kinds += [(self.offload_result, 1), (self.offload_write, 1)]
            if not ivars:
                kinds += [(self.function, 1)]
        if budget < 10 or not self.readable(busy):
            return
        kind = self.rng.choices([k for k, _ in kinds], [x for _, x in kinds])[0]
        kind(ivars, frozen, busy, budget)

    # -- the whole ------------------------------------------------------------
    def fill(self, array):
        def body(i, at):
            v = self.op("muli", i, self.lit(self.rng.choice([1, 3, 40503])), "w({a} * {b})")
            fields = range(3) if array.kind == "rec" else [0]
            for k in fields:
                kind = FIELDS[k] if array.kind == "rec" else array.kind
                x, py = self.narrow(kind, v)
                if array.kind == "rec":
                    q = self.new()
                    self.m(f"{q} = cira.handle_offset {array.h}[{at}] : {array.handle}")
                    self.m(f"cira.store {x}, {q}[{k}] : {kind}, {array.handle}")
                else:
                    self.m(f"cira.store {x}, {array.h}[{at}] : {kind}, {array.handle}")
                self.p(f"{self.where(array, k)}[{i[1]}] = {py}")
        self.loop_for(0, array.n, 1, body)

    def build(self):
        rng = self.rng
        self.acc = [self.const(1), self.const(2)]
        self.p("a0, a1 = 1, 2")
        for k in range(rng.randrange(2, 5)):
            kind = rng.choice(["i8", "i16", "i32", "i64", "i64", "f64", "f32", "rec"])
            n = rng.choice([1, 3, 700, 5000, 20000, 40000])
            array = Array(f"A{k}", kind, n)
            self.m(f"{array.len} = arith.constant {n} : index")
            if kind != "rec" and rng.random() < .4:
                self.m(f"{array.m} = memref.alloc({array.len}) : {array.memref}")
                self.m(f"{array.h} = cira.handle_cast {array.m} : {array.memref} to {array.handle}")
            else:
                tier = rng.choice(["", " tier(far)", " tier(cxl)", " tier(local)"])
                self.m(f"{array.h} = cira.alloc({array.len}){tier} : {array.handle}")
                if kind != "rec":
                    self.m(f"{array.m} = cira.handle_view {array.h}, {array.len} : {array.handle}, index -> {array.memref}")
            for f in range(3) if kind == "rec" else [0]:
                self.p(f"{self.where(array, f)} = [0] * {n}")
            self.fill(array)
            self.arrays.append(array)
        for _ in range(rng.randrange(2, 6)):
            self.statement([], [], [], self.budget // 4)
            if rng.random() < .2:
                self.m("cira.barrier")
        for array in self.arrays:  # all bytes count
            fields = range(3) if array.kind == "rec" else [0]

            def body(i, at, array=array, fields=fields):
                for f in fields:
                    kind = FIELDS[f] if array.kind == "rec" else array.kind
                    q, x = self.new(), self.new()
                    self.m(f"{q} = cira.handle_offset {array.h}[{at}] : {array.handle}")
                    part = f"[{f}]" if array.kind == "rec" else ""
                    self.m(f"{x} = cira.load {q}{part} : {array.handle} -> {kind}")
                    v = self.widen(kind, x, f"{self.where(array, f)}[{i[1]}]")
                    v = self.op("muli", v, self.op("addi", i, self.lit(1), "{a} + {b}"), "w({a} * {b})")
                    old = self.acc_pair(1)
                    r = self.new()
                    self.m(f"{r} = arith.addi {old[0]}, {v[0]} : i64")
                    self.p(f"a1 = w(a1 + {v[1]})")
                    self.acc[1] = r
            self.loop_for(0, array.n, 1, body)
        body = self.lines
        head = [f"// program {self.seed}", '!Rec = !llvm.struct<"Rec", (i32, f64, i64)>',
                '!Node = !llvm.struct<"Node", (i64, ptr)>',
                '!Fat = !llvm.struct<"Fat", (ptr, i64, array<12 x i64>)>']
        text = list(head)
        for f in self.functions:
            text += f
        text += ["func.func @main(%none_i64: i64, %none_index: index) -> (i64, i64) {"] + body + \
            [f"return {self.acc[0]}, {self.acc[1]} : i64, i64", "}"]
        return "\n".join(text) + "\n", PRELUDE + "\n".join(self.py)


def expected(source):
    scope = {}
    body = "\n".join("    " + line for line in source[len(PRELUDE):].split("\n"))
    exec(PRELUDE + "def run():\n" + body + "\n    return a0, a1\n", scope)
    a0, a1 = scope["run"]()
    return f"{a0}\n{a1}\n"


def run(tool, way, path):
    """What is wrong with it, or None."""
    try:
        done = subprocess.run([tool] + way + [str(path), "0", "0"], capture_output=True, text=True,
                              timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None, f"no end after {TIMEOUT_S} s"
    if done.returncode != 0:
        return None, f"exit status {done.returncode}: {done.stderr[-600:]}"
    return done.stdout, None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("bin")
    arguments.add_argument("count", type=int)
    arguments.add_argument("seed", type=int, nargs="?", default=1)
    arguments.add_argument("--all", action="store_true")
    arguments.add_argument("--go-on", action="store_true")
    arguments.add_argument("--keep", default=".")
    o = arguments.parse_args()
    tool = os.path.join(o.bin, "cira-run")
    runs = failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for k in range(o.count):
            seed = o.seed + k
            text, source = Program(seed).build()
            path = pathlib.Path(folder) / f"program-{seed}.mlir"
            path.write_text(text)
            want = expected(source)
            ways = WAYS if o.all else [WAYS[2 * k % len(WAYS)], WAYS[(2 * k + 1) % len(WAYS)]]
            for way in ways:
                got, bad = run(tool, way, path)
                runs += 1
                if bad is None and got != want:
                    bad = f"gives {got.split()} instead of {want.split()}"
                if bad is not None:
                    kept = pathlib.Path(o.keep) / path.name
                    kept.write_text(text)
                    print(f"programs: cira-run {' '.join(way)} {kept}: {bad}", flush=True)
                    failures += 1
                    if not o.go_on:
                        sys.exit(1)
            path.unlink()
    print(f"programs: {o.count} programs of seed {o.seed} on, {runs} runs, {failures} failures")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
