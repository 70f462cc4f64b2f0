"""Small networks with parameters drawn at random, and what plain numpy says they do.

Stand-ins for recordings: written from the peers' formulas (facts: Loihi numerics, 1), without
anything of the package.
"""

import json

import numpy as np


def write(folder, name, head, arrays):
    (folder / f"{name}.json").write_text(json.dumps({"name": name, **head}), encoding="utf-8")
    np.savez(folder / f"{name}.npz", **arrays)
    return folder / f"{name}.npz"


def to_zero(x, bits):
    return np.sign(x) * (np.abs(x) >> bits)


def shifted(x, by):
    return x << by if by >= 0 else x >> -by


def wrapped(x, bits):
    return (x + (1 << bits)) % (1 << (bits + 1)) - (1 << bits)


# ------------------------------------------------------------------------------------- nengo


def nengo(rng, steps=60):
    """Three blocks; refractory periods and bias exponents differ, axons share weights."""
    sizes = [int(n) for n in rng.integers(3, 12, 3)]
    inputs = [5, 4]
    noisy = bool(rng.integers(2))
    blocks, arrays = [], {}
    for b, n in enumerate(sizes):
        exponent = rng.integers(0, 8, n)
        arrays |= {
            f"b{b}_decay_u": rng.integers(0, 4096, n), f"b{b}_decay_v": rng.integers(0, 4096, n),
            f"b{b}_vth": rng.integers(1, 200, n) * 64,
            f"b{b}_bias": rng.integers(-40, 200, n) << exponent,
            f"b{b}_refract_delay": rng.choice([1, 1, 2, 5], n),
            f"b{b}_enable_noise": rng.integers(0, 2, n) * noisy,
        }  # fmt: skip
        limits = ((-(2**23) + 1, 2**23 - 1), (0, 2**23 - 1), (-4095, 32767))[b]
        blocks.append({
            "n": n, "vmin": limits[0], "vmax": limits[1], "noise_exp": int(rng.integers(3, 11)),
            "noise_offset": int(rng.integers(-3, 4)), "noise_at_membrane": int(rng.integers(2)),
            "syns": [_synapse(rng, arrays, b, 0, n, 6, None), _synapse(rng, arrays, b, 1, n, 3, 5)],
        })  # fmt: skip
    axons = []
    for owner, widths in (("i", inputs), ("b", sizes)):
        for source, width in enumerate(widths):
            for block in rng.choice(3, 2, replace=False):
                axons.append(_axon(rng, arrays, len(axons), owner, source, width, int(block)))
    for k, width in enumerate(inputs):
        arrays[f"in{k}_t"], arrays[f"in{k}_i"] = np.nonzero(rng.random((steps, width)) < 0.3)
    if noisy:
        arrays["noise"] = rng.integers(-127, 128, steps * sum(sizes)).astype(np.int8)
    head = {"blocks": blocks, "axons": axons, "inputs": inputs, "T": steps, "note": "made up"}
    return head, arrays | run_nengo(head, arrays)


def _synapse(rng, arrays, block, group, n, rows, axons):
    """Lists of weights; with `axons` they are shared, by a map and bases, and two atoms each."""
    atoms, width = (2, n // 2) if axons else (1, n)
    key = f"b{block}_s{group}"
    exponent = int(rng.integers(0, 3))
    count = rows * atoms * width
    arrays[f"{key}_shape"] = np.tile([atoms, width], (rows, 1))
    arrays[f"{key}_w"] = (rng.integers(-127, 128, count) * 2) << (6 + exponent)
    arrays[f"{key}_idx"] = np.tile(np.arange(width), rows * atoms)
    if axons:
        arrays[f"{key}_map"] = rng.integers(0, rows, axons)
        arrays[f"{key}_base"] = rng.integers(-1, n - width + 1, axons)
    return {"n_axons": axons or rows, "weight_exp": exponent, "pop_type": 16 if axons else 0,
            "learning": False, "bits": 1}  # fmt: skip


def _axon(rng, arrays, k, owner, source, width, block):
    group = int(rng.integers(2))
    arrays[f"ax{k}_map"] = rng.integers(-1, (6, 5)[group], width)
    arrays[f"ax{k}_atom"] = rng.integers(0, (1, 2)[group], width)
    return {"owner": owner, "src": source, "block": block, "syn": group}


def run_nengo(head, a):
    sizes = [b["n"] for b in head["blocks"]]
    first, steps = np.cumsum([0, *sizes]), head["T"]
    total = first[-1]
    register = {
        key: np.concatenate([a[f"b{b}_{key}"] for b in range(len(sizes))]).astype(np.int64)
        for key in ("decay_u", "decay_v", "vth", "bias", "refract_delay", "enable_noise")
    }
    each = {key: np.repeat([b[key] for b in head["blocks"]], sizes)
            for key in ("vmin", "vmax", "noise_exp", "noise_offset",
                        "noise_at_membrane")}  # fmt: skip
    u, v, wait, fired = (np.zeros(total, np.int64) for _ in range(4))
    out = {
        key: np.zeros((steps, total), np.int64) for key in ("current", "voltage", "ref", "spiked")
    }
    for t in range(steps):
        q = np.zeros(total, np.int64)
        for k, axon in enumerate(head["axons"]):
            q += _nengo_input(head, a, k, axon, t, fired, first)
        noise = np.zeros(total, np.int64)
        if "noise" in a:
            draw = a["noise"][t * total : (t + 1) * total] + 64.0 * each["noise_offset"]
            scale = np.where(register["enable_noise"], 2.0 ** (each["noise_exp"] - 7.0), 0)
            noise = np.trunc(draw * scale).astype(np.int64)
        on_v = each["noise_at_membrane"] == 1
        q = wrapped(q + np.where(on_v, 0, noise), 21)
        u = wrapped(to_zero(u * (4095 - register["decay_u"]), 12) + q, 23)
        drive = wrapped(u + register["bias"] + np.where(on_v, noise, 0), 23)
        v = to_zero(v * (4096 - register["decay_v"]), 12) + drive
        v = np.clip(v, each["vmin"], each["vmax"])
        v[wait > 0] = 0
        fired = (v > register["vth"]).astype(np.int64)
        v[fired == 1] = 0
        wait = np.maximum(np.where(fired, register["refract_delay"], wait) - 1, 0)
        for key, value in (("current", u), ("voltage", v), ("ref", wait), ("spiked", fired)):
            out[key][t] = value
    out["spiked"] = np.packbits(out["spiked"].astype(bool), axis=1)
    return {f"o_{key}": value for key, value in out.items()}


def _nengo_input(head, a, k, axon, t, fired, first):
    q = np.zeros(first[-1], np.int64)
    block, key = axon["block"], f"b{axon['block']}_s{axon['syn']}"
    if axon["owner"] == "i":
        sources = a[f"in{axon['src']}_i"][a[f"in{axon['src']}_t"] == t]
    else:
        sources = np.flatnonzero(fired[first[axon["src"]] : first[axon["src"] + 1]])
    sizes = a[f"{key}_shape"].prod(axis=1)
    starts = np.cumsum(sizes) - sizes
    for source in sources:
        ax, atom = a[f"ax{k}_map"][source], a[f"ax{k}_atom"][source]
        if ax < 0:
            continue
        base = a[f"{key}_base"][ax] if f"{key}_base" in a else 0
        row = a[f"{key}_map"][ax] if f"{key}_map" in a else ax
        if base < 0:
            continue
        width = a[f"{key}_shape"][row, 1]
        span = slice(starts[row] + atom * width, starts[row] + (atom + 1) * width)
        np.add.at(q, first[block] + base + a[f"{key}_idx"][span], a[f"{key}_w"][span])
    return q


# -------------------------------------------------------------------------------------- lava


def lava(rng, cls, steps=60):
    """One population of a class of the LIF family, with delays, signs, bits and exponents."""
    n, m = (int(x) for x in rng.integers(4, 12, 2))
    lif = {"du": int(rng.integers(4096)), "dv": int(rng.integers(4096))}
    arrays = {}
    if cls == "TernaryLIF":
        lif |= {"vth_hi": int(rng.integers(5, 60)), "vth_lo": -int(rng.integers(5, 60))}
    else:
        lif["vth"] = int(rng.integers(5, 60))
    if cls == "LIFReset":
        lif |= {"reset_interval": int(rng.integers(3, 20)), "reset_offset": int(rng.integers(40))}
    if rng.integers(2):
        arrays["p_bias_mant"] = rng.integers(-50, 100, n)
        arrays["p_bias_exp"] = rng.integers(-2, 6, n)
    else:
        lif |= {"bias_mant": int(rng.integers(-50, 100)), "bias_exp": int(rng.integers(-2, 6))}
    conns = []
    for k, source in enumerate(("in", "in", "rec")):
        mode = rng.choice([None, 1, 2, 3])
        sign = {None: rng.choice([-1, 0, 1]), 1: 0, 2: 1, 3: -1}[mode]
        weight = rng.integers(-256, 256, (n, m if source == "in" else n))
        arrays[f"c{k}_w"] = weight if sign == 0 else sign * np.abs(weight)
        delayed = bool(rng.integers(2))
        if delayed:
            arrays[f"c{k}_delay"] = rng.integers(0, 63, weight.shape)
        conns.append({"src": source, "exp": int(rng.integers(-4, 2)), "delay": delayed,
                      "bits": int(rng.integers(1, 9)), "mode": mode})  # fmt: skip
    x = rng.random((steps, m)) < 0.3
    arrays["in"] = np.packbits(x, axis=1)
    head = {"kind": "lif", "cls": cls, "n": n, "conns": conns, "lif": lif, "T": steps,
            "inputs": {"in": {"n": m, "kind": "bits"}}}  # fmt: skip
    return head, arrays | run_lava(head, arrays, x.astype(np.int64))


def stored(weight, mode, bits):
    if mode is None:
        mode = 2 if weight.min() >= 0 else 3 if weight.max() <= 0 else 1
    size = -weight if mode == 3 else weight
    drop = 8 - bits + (mode == 1)
    size = np.clip(size, -256 if mode == 1 else 0, 255) >> drop << drop
    return -size if mode == 3 else size


def run_lava(head, a, x):
    n, steps, lif = head["n"], head["T"], head["lif"]
    mant, exp = (
        a.get(f"p_{key}", np.full(n, lif.get(key, 0))) for key in ("bias_mant", "bias_exp")
    )
    bias = np.where(exp >= 0, mant << np.maximum(exp, 0), mant >> np.maximum(-exp, 0))
    arriving = np.zeros((steps + 80, n), np.int64)
    u, v = np.zeros((2, n), np.int64)
    out = {key: np.zeros((steps, n), np.int64) for key in ("o_u", "o_v", "o_s")}
    for t in range(steps):
        if "reset_interval" in lif and (t + 1 - lif["reset_offset"]) % lif["reset_interval"] == 0:
            u, v = np.zeros((2, n), np.int64)
        u = to_zero(u * (4095 - lif["du"]), 12) + (arriving[t] << 6)
        u = np.where(u > 2**23, u - 2**24, np.where(u <= -(2**23), u + 2**24, u))
        v = to_zero(v * (4096 - lif["dv"]), 12) + u + bias
        v = np.clip(v, 1 - 2**23, 2**23 - 1)
        s = (v > lif.get("vth_hi", lif.get("vth")) * 64).astype(np.int64)
        if "vth_lo" in lif:
            s = s - (v < lif["vth_lo"] * 64)
        v = np.where(s != 0, 0, v)
        out["o_u"][t], out["o_v"][t], out["o_s"][t] = u, v, s
        for k, conn in enumerate(head["conns"]):
            on = (x[t] if conn["src"] == "in" else s) != 0
            weight = stored(a[f"c{k}_w"], conn["mode"], conn["bits"])
            delay = a.get(f"c{k}_delay", np.zeros_like(weight))
            for d in np.unique(delay):
                total = np.where(delay == d, weight, 0)[:, on].sum(axis=1)
                arriving[t + 1 + d] += shifted(total, conn["exp"])
    return out
