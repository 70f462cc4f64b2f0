"""Plain-numpy twins of the spiking kernels, written from docs and formulas alone."""

import numpy as np

# surrogate slopes integrated, by kind: S(0) = 0, S'(0) = 1
ANTIDERIVATIVES = {
    0: lambda x, k: x / (1 + k * np.abs(x)),
    1: lambda x, k: np.arctan(k * x) / k,
    2: lambda x, k: np.sign(x) * np.where(
        np.abs(x) * k < 1, np.abs(x) - k * x * x / 2, 0.5 / k),
    3: lambda x, k: np.clip(x, -1 / k, 1 / k),
    4: lambda x, k: np.sign(x) * (1 - np.exp(-k * np.abs(x))) / k,
}  # fmt: skip


class Net:
    """Populations of sizes, groups (source, target, delay, weight (in, out)); dense and slow."""

    def __init__(self, sizes, groups, refractory, output):
        self.sizes, self.groups, self.output = sizes, groups, output
        self.refractory = refractory
        self.stops = np.cumsum(sizes)

    def part(self, p):
        return slice(self.stops[p] - self.sizes[p], self.stops[p])

    def run(self, raster, weights, keep_u, keep_v, v_th, bias, drive, soft=None):
        """(u, reached, spiked, resting), each (T, N), of one sample raster (T, inputs).

        soft = (reached and spikes of the unperturbed run, antiderivative, sharpness): spikes
        become those of that run plus the change of the smooth step; resets stay as they were.
        """
        steps, n = len(raster), self.stops[-1]
        u, v, wait = np.zeros(n), np.zeros(n), np.zeros(n, int)
        out = [np.zeros((steps, n)) for _ in range(4)]
        for t in range(steps):
            u_next = keep_u * u + drive
            for p in range(len(self.sizes)):
                here = self.part(p)
                for (source, target, delay, _), w in zip(self.groups, weights):
                    if target == p and t - delay >= 0:
                        sent = (
                            raster[t - delay]
                            if source < 0
                            else out[2][t - delay, self.part(source)]
                        )
                        u_next[here] += sent @ w
                level = keep_v[here] * v[here] + u_next[here] + bias[here]
                resting = wait[here] > 0
                level = np.where(resting, 0, level)
                hard = ~resting & (level > v_th[here])
                spike = hard.astype(float)
                if soft is not None:
                    hard, spike = self._soft(soft, t, here, level, v_th[here], resting)
                out[1][t, here], out[2][t, here], out[3][t, here] = level, spike, resting
                wait[here] = np.where(
                    resting, wait[here] - 1, np.where(hard, self.refractory[here] - 1, 0)
                )
                v[here] = np.where(hard | resting, 0, level)
            u = u_next
            out[0][t] = u
        return out

    def _soft(self, soft, t, here, level, v_th, resting):
        reached0, spiked0, v_th0, integral, k = soft
        was = spiked0[t, here]
        before = (reached0[t, here] - v_th0[here]) / v_th0[here]
        change = integral((level - v_th) / v_th, k) - integral(before, k)
        return was > 0, was + np.where(resting, 0, change)


def integers(net, raster, weights, keep_u, keep_v, v_th, bias, rule):
    """The same in exact Python integers: (u, reached, spikes) (T, N) of one sample."""
    bits, q_mode, q_bits, u_mode, u_bits, v_mode, v_bits = rule
    n = int(net.stops[-1])
    u, v, wait = [0] * n, [0] * n, [0] * n
    log = np.zeros((3, len(raster), n), np.int64)
    for t in range(len(raster)):
        for p in range(len(net.sizes)):
            for i in range(net.part(p).start, net.part(p).stop):
                q = _arriving(net, raster, log[2], weights, p, i, t)
                u[i] = _fit(_shr(u[i] * keep_u[i], bits) + _fit(q, q_mode, q_bits), u_mode, u_bits)
                reached, fired = 0, False
                if wait[i] > 0:
                    wait[i] -= 1
                else:
                    pushed = _fit(u[i] + bias[i], u_mode, u_bits)
                    reached = _fit(_shr(v[i] * keep_v[i], bits) + pushed, v_mode, v_bits)
                    fired = reached > v_th[i]
                    wait[i] = int(net.refractory[i]) - 1 if fired else 0
                v[i] = 0 if fired else reached
                log[:, t, i] = u[i], reached, fired
    return log


def _arriving(net, raster, spikes, weights, p, i, t):
    total = 0
    for (source, target, delay, _), w in zip(net.groups, weights):
        if target != p or t < delay:
            continue
        sent = raster[t - delay] if source < 0 else spikes[t - delay, net.part(source)]
        total += sum(int(w[j, i - net.part(p).start]) for j in np.flatnonzero(sent))
    return total


def _shr(x, bits):
    x = int(x)
    return x >> bits if x >= 0 else -(-x >> bits)


def _fit(x, mode, bits):
    top = 2**bits
    if mode == 1:
        return (x + top) % (2 * top) - top
    return max(1 - top, min(top - 1, x)) if mode == 2 else x
