/* The plain C loop over compressed rows that benchmarks/spiking.py compares with: one
   recurrent population, profile loihi1, one thread.  Counts nothing but spikes and synapses. */
#include <stdint.h>
#include <string.h>

static int64_t to_zero(int64_t x, int64_t keep) {
    x *= keep;
    return x >= 0 ? x >> 12 : -((-x) >> 12);
}

static int64_t wrap(int64_t x, int bits) {
    int64_t top = (int64_t)1 << bits;
    return ((x + top) & (2 * top - 1)) - top;
}

/* numbers: steps, n, keep_u, keep_v, v_th, shift.  kick arrives in step kick_at, if
   that is one of these, shifted by kick_shift.  fired int32 (n + 1,): how many fired last, and which.
   spikes uint8 (steps, n) where not null.  counts int64 (2,): spikes, synaptic events; added to. */
void run(const int64_t *numbers, const int64_t *indptr, const int32_t *restrict target,
         const int8_t *restrict weight, const int64_t *restrict bias, const int64_t *kick,
         int64_t kick_at, int64_t kick_shift, int32_t *restrict u, int32_t *restrict v, int32_t *restrict q,
         int32_t *restrict fired, uint8_t *restrict hit, uint8_t *spikes, int64_t *counts) {
    int64_t steps = numbers[0], n = numbers[1], keep_u = numbers[2], keep_v = numbers[3];
    int64_t v_th = numbers[4], shift = numbers[5], many = fired[n], top = (1 << 23) - 1;
    for (int64_t t = 0; t < steps; t++) {
        if (t == kick_at)
            for (int64_t i = 0; i < n; i++) q[i] += kick[i] << kick_shift;
        for (int64_t e = 0; e < many; e++) {
            int64_t first = indptr[fired[e]], last = indptr[fired[e] + 1];
            for (int64_t s = first; s < last; s++) q[target[s]] += weight[s];
            counts[1] += last - first;
        }
        for (int64_t i = 0; i < n; i++) {
            int64_t held = wrap((int64_t)q[i] << shift, 21);
            int64_t now = wrap(to_zero(u[i], keep_u) + held, 23);
            int64_t reached = to_zero(v[i], keep_v) + wrap(now + bias[i], 23);
            reached = reached > top ? top : reached < -top ? -top : reached;
            hit[i] = reached > v_th;
            u[i] = now, v[i] = hit[i] ? 0 : reached, q[i] = 0;
        }
        many = 0;
        for (int64_t i = 0; i < n; i++)
            if (hit[i]) fired[many++] = i;
        counts[0] += many;
        if (spikes) memcpy(spikes + t * n, hit, n);
    }
    fired[n] = many;
}
