/* The loops over rows, for each kind of processor, and which of them suit this one. */
#include "numbers.h"
#include "sixteen.h"

enum { LINE = 16 }; /* floats in a line of the processor's cache */

/* A length of rows of which each starts with a line of the cache, where the first does. */
static size_t whole_lines(size_t floats) { return (floats + LINE - 1) / LINE * LINE; }

/* So many zeroes, from the start of a line: registers of a line's width are read and written in half the time there.
 * NULL where there is no memory. */
static float *zeroes(size_t count) {
    size_t size = whole_lines(count) * sizeof(float);
    float *room = aligned_alloc(LINE * sizeof(float), size);
    if (room != NULL) memset(room, 0, size);
    return room;
}

/* Between which two cells a pixel lies. */
typedef struct {
    int low;     /* the cell before */
    int high;    /* and after; the same at an edge */
    float share; /* of the latter */
} Place;

static Place place_of(Py_ssize_t pixel, Py_ssize_t pixels, Py_ssize_t cells) {
    double at = ((double)pixel + 0.5) * (double)cells / (double)pixels - 0.5;
    Place place;
    if (at < 0) at = 0;
    if (at > (double)(cells - 1)) at = (double)(cells - 1);
    place.low = (int)at;
    place.high = place.low + 1 < cells ? place.low + 1 : place.low;
    place.share = (float)(at - (double)place.low);
    return place;
}

/* Of a row's pixels, counted in values, three to a cell. */
static void fill_places(Place *places, Py_ssize_t pixels, Py_ssize_t cells) {
    for (Py_ssize_t x = 0; x < pixels; x++) {
        places[x] = place_of(x, pixels, cells);
        places[x].low *= 3;
        places[x].high *= 3;
    }
}

/* How a network's answer is scaled (see edge.coefficients). */
typedef struct {
    float density_slope, density_offset, tint, shift, detail; /* of the raw answer, and how much more of fine detail */
    float most, light[3];                                     /* the largest log gain; the airlight */
    float strength;
} Scales;

enum { DECODED = 12 }; /* values for each cell of a row that is decoded */

enum { REACH = 15 }; /* grey levels apart that are told apart from more */

#define NEARER 0.75f /* the nearer neighbour's weight, of like ones */

/* What two neighbours of a cell weigh, by how far their brightness is from its own, in grey levels. */
typedef struct {
    float likeness[REACH + 1];
    float second[2][(REACH + 1) * (REACH + 1)]; /* the second's share where the first is nearer, and where it is itself */
} Shares;

static void fill_shares(Shares *of, const float *likeness) {
    memcpy(of->likeness, likeness, sizeof of->likeness);
    for (int nearer = 0; nearer < 2; nearer++)
        for (int i = 0; i < (REACH + 1) * (REACH + 1); i++) {
            float first = likeness[i / (REACH + 1)] * (nearer ? 1 - NEARER : NEARER);
            float second = likeness[i % (REACH + 1)] * (nearer ? NEARER : 1 - NEARER);
            of->second[nearer][i] = second / (first + second);
        }
}

/* The pixels that one of the result covers along an axis: the first and the last of them in part. */
typedef struct {
    Py_ssize_t first, last;
    float head, tail; /* weights of these; what lies between counts 1 / (pixels / cells) */
} Span;

#define JOINED(name, kind) name##_##kind
#define JOIN(name, kind) JOINED(name, kind)
#define NAMED(name) JOIN(name, KIND)

#define KIND any
#define FOR_KIND
#include "rows.h"
#if defined(__x86_64__)
#define WOVEN
#define KIND fma
#define FOR_KIND __attribute__((target("avx2,fma")))
#include "rows.h"
#define KIND wide
#define FOR_KIND WIDE
#include "rows.h"
#undef WOVEN
#endif

/* Those of one kind. */
typedef struct {
    void (*decode)(
        float *, float *, float *, float *, const float *, const uint8_t *, const Scales *, float *, Py_ssize_t
    );
    void (*grey)(uint8_t *, const uint8_t *, Py_ssize_t);
    void (*share)(
        float *, const uint8_t *, const uint8_t *, const uint8_t *, const Shares *, int, int, uint8_t *, Py_ssize_t
    );
    void (*mix)(float *, const float *, const float *, const float *, Py_ssize_t);
    void (*repeat)(float *, const float *, Py_ssize_t);
    void (*mean)(uint8_t *, const uint8_t *, const uint8_t *, Py_ssize_t);
    void (*enlarge)(float *, float *, const float *, const float *, const Place *, Py_ssize_t);
    void (*twice)(float *, float *, const float *, const float *, Py_ssize_t);
    void (*join)(float *, const float *, const float *, float, const float *, Py_ssize_t);
    void (*finish)(float *, float *, const float *, const float *, const float *, float, Py_ssize_t);
    void (*combine)(
        uint8_t *, const uint8_t *, const float *, const float *, const float *, const float *, const float *,
        Py_ssize_t, Py_ssize_t
    );
    void (*average_down)(float *, const uint8_t *, const float *, Py_ssize_t, Py_ssize_t);
    void (*average_across)(float *, const float *, const Span *, float, Py_ssize_t);
    void (*round_off)(uint8_t *, const float *, Py_ssize_t);
    void (*differ)(float *, const uint8_t *, const float *, Py_ssize_t);
    void (*change)(float *, const float *, const float *, const float *, float *, Py_ssize_t);
    void (*trust)(float *, const float *, float, float, Py_ssize_t);
    void (*keep)(float *, const float *, const float *, Py_ssize_t);
} Rows;

#define ROWS(kind)                                                                                                     \
    (Rows) {                                                                                                           \
        decode_row_##kind, grey_row_##kind, share_row_##kind, mix_row_##kind, repeat_cells_##kind, mean_row_##kind,    \
            enlarge_rows_##kind, double_rows_##kind, join_row_##kind, finish_row_##kind, combine_rows_##kind,          \
            average_down_##kind, average_across_##kind, round_off_##kind, differ_row_##kind, change_row_##kind,        \
            trust_row_##kind, keep_row_##kind                                                                          \
    }

static Rows fastest(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return ROWS(wide);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return ROWS(fma);
#endif
    return ROWS(any);
}
