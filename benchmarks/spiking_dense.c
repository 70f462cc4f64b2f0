/* The plain C loop that benchmarks/spiking_dense.py compares with: one recurrent population, profile
   loihi1, 8-bit weights, events in, rasters out, one thread.  No counts, no delays but one. */
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

static void add(int32_t *restrict q, const int8_t *restrict w, int n) {
    for (int j = 0; j < n; j++) q[j] += w[j];
}

/* numbers: samples, steps, channels, n, keep_u, keep_v, v_th, shift; spikes (samples, steps, n) */
void run(const int64_t *numbers, const int64_t *indptr, const int32_t *index, const int8_t *w_in,
         const int8_t *w_rec, int32_t *u, int32_t *v, int32_t *q, int32_t *fired, uint8_t *spikes) {
    int64_t steps = numbers[1], n = numbers[3], shift = numbers[7];
    for (int64_t b = 0; b < numbers[0]; b++) {
        int64_t many = 0;
        memset(u, 0, 4 * n), memset(v, 0, 4 * n);
        for (int64_t t = 0; t < steps; t++) {
            int64_t row = b * steps + t;
            uint8_t *out = spikes + row * n;
            memset(q, 0, 4 * n);
            for (int64_t e = indptr[row]; e < indptr[row + 1]; e++) add(q, w_in + index[e] * n, n);
            for (int64_t e = 0; e < many; e++) add(q, w_rec + fired[e] * n, n);
            for (int64_t i = 0; i < n; i++) {
                int64_t held = wrap((int64_t)q[i] << shift, 21);
                int64_t now = wrap(to_zero(u[i], numbers[4]) + held, 23);
                int64_t reached = to_zero(v[i], numbers[5]) + now;
                int64_t top = (1 << 23) - 1;
                reached = reached > top ? top : reached < -top ? -top : reached;
                out[i] = reached > numbers[6];
                u[i] = now, v[i] = out[i] ? 0 : reached;
            }
            many = 0;
            for (int64_t i = 0; i < n; i++)
                if (out[i]) fired[many++] = i;
        }
    }
}
