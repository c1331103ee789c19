/* From a network's decoded answer to the clear frame, in one pass over the frame.
 *
 * What edge.coefficients and edge.apply do with calls of an image library, without the round trips through memory. Each
 * row of the fine grid is made when it is needed: what each colour has beside the mean is enlarged, the mean added, and
 * gain and bias computed; then it is enlarged along the row, and two such rows serve all rows of the frame between
 * their centres. Pixel centres lie at (i + 0.5) / n, and edges are repeated.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sixteen.h"

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

#define JOINED(name, kind) name##_##kind
#define JOIN(name, kind) JOINED(name, kind)
#define NAMED(name) JOIN(name, KIND)

#define KIND any
#define FOR_KIND
#include "rows.h"
#if defined(__x86_64__)
#define KIND fma
#define FOR_KIND __attribute__((target("avx2,fma")))
#include "rows.h"
#endif

typedef struct {
    void (*enlarge)(
        float *, float *, const float *, const float *, const float *, const float *, const Place *, Py_ssize_t
    );
    void (*finish)(float *, float *, const float *, const float *, const float *, float, Py_ssize_t);
    void (*combine)(
        uint8_t *, const uint8_t *, const float *, const float *, const float *, const float *, float, Py_ssize_t
    );
} Rows;

/* Those that suit this processor best. */
static Rows fastest(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (Rows){enlarge_rows_fma, finish_row_fma, combine_row_fma};
#endif
    return (Rows){enlarge_rows_any, finish_row_any, combine_row_any};
}

/* The two rows of the grid that were enlarged last. */
typedef struct {
    float *gain, *bias;
    Py_ssize_t number; /* -1 for none */
} Enlarged;

static int whole(const Py_buffer *view, int dimensions, const char *format, Py_ssize_t item) {
    return view->ndim == dimensions && (dimensions == 2 || view->shape[2] == 3) && view->itemsize == item &&
           view->format != NULL && strcmp(view->format, format) == 0 && view->shape[0] > 0 && view->shape[1] > 0;
}

static int same_size(const Py_buffer *a, const Py_buffer *b) {
    return a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1];
}

/* What the fine grid is made of, and room for one row of it. */
typedef struct {
    const float *log_gain, *log_gain_mean, *shift, *shift_mean;
    Py_ssize_t coarse_rows, coarse_cells, rows, cells;
    float most;
    Place *places;                      /* of the fine cells among the coarse ones */
    float *light;                       /* for each value of a row */
    float *between[2], *fine[2];        /* log_gain and shift, coarse and fine */
    float *gain, *bias;                 /* the row, for values in [0, 255] */
} Grid;

static void make_row(const Grid *grid, const Rows *of, Py_ssize_t y) {
    Place place = place_of(y, grid->rows, grid->coarse_rows);
    Py_ssize_t given = 3 * grid->coarse_cells, values = 3 * grid->cells;
    const float *maps[2] = {grid->log_gain, grid->shift};
    for (int map = 0; map < 2; map++) {
        const float *low = maps[map] + place.low * given, *high = maps[map] + place.high * given;
        float *restrict row = grid->between[map];
        for (Py_ssize_t i = 0; i < given; i++) row[i] = low[i] + place.share * (high[i] - low[i]);
    }
    of->enlarge(
        grid->fine[0], grid->fine[1], grid->between[0], grid->between[1], grid->log_gain_mean + y * grid->cells,
        grid->shift_mean + y * grid->cells, grid->places, grid->cells
    );
    of->finish(grid->gain, grid->bias, grid->fine[0], grid->fine[1], grid->light, grid->most, values);
}

/* 0, or -1 where there is no memory. */
static int clear_frame(Grid *grid, const float light[3], const Py_buffer *frame, const Py_buffer *out) {
    Py_ssize_t height = frame->shape[0], width = frame->shape[1], values = 3 * width;
    size_t wide = (size_t)values + 1, fine = 3 * (size_t)grid->cells + 1, coarse = 3 * (size_t)grid->coarse_cells + 1;
    Place *places = malloc(((size_t)width + (size_t)grid->cells) * sizeof(Place));
    float *room = calloc(4 * wide + 5 * fine + 2 * coarse, sizeof(float)), *free_room = room;
    if (places == NULL || room == NULL) {
        free(places);
        free(room);
        return -1;
    }
    Enlarged kept[2] = {{room, room + wide, -1}, {room + 2 * wide, room + 3 * wide, -1}};
    free_room += 4 * wide;
    float **rows[5] = {&grid->light, &grid->fine[0], &grid->fine[1], &grid->gain, &grid->bias};
    for (int i = 0; i < 5; i++, free_room += fine) *rows[i] = free_room;
    for (int i = 0; i < 2; i++, free_room += coarse) grid->between[i] = free_room;
    for (Py_ssize_t i = 0; i < 3 * grid->cells; i++) grid->light[i] = light[i % 3];
    grid->places = places + width;
    fill_places(places, width, grid->cells);
    fill_places(grid->places, grid->cells, grid->coarse_cells);
    Rows of = fastest();
    for (Py_ssize_t y = 0; y < height; y++) {
        Place place = place_of(y, height, grid->rows);
        for (Py_ssize_t number = place.low; number <= place.high; number++) {
            Enlarged *slot = &kept[number & 1];
            if (slot->number == number) continue;
            make_row(grid, &of, number);
            of.enlarge(slot->gain, slot->bias, grid->gain, grid->bias, NULL, NULL, places, width);
            slot->number = number;
        }
        const Enlarged *low = &kept[place.low & 1], *high = &kept[place.high & 1];
        of.combine(
            (uint8_t *)out->buf + y * values, (const uint8_t *)frame->buf + y * values, low->gain, high->gain,
            low->bias, high->bias, place.share, values
        );
    }
    free(places);
    free(room);
    return 0;
}

static PyObject *clear(PyObject *self, PyObject *args) {
    PyObject *objects[6], *result = NULL;
    Py_buffer views[6];
    float light[3], most;
    int taken = 0, failed;
    (void)self;
    if (!PyArg_ParseTuple(
            args, "OOOOO(fff)fO:clear", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4], &light[0],
            &light[1], &light[2], &most, &objects[5]
        ))
        return NULL;
    for (; taken < 6; taken++) {
        int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (taken == 5 ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(objects[taken], &views[taken], flags) < 0) goto release;
    }
    const Py_buffer *frame = &views[0], *log_gain = &views[1], *log_gain_mean = &views[2], *shift = &views[3],
                    *shift_mean = &views[4], *out = &views[5];
    if (!whole(frame, 3, "B", 1) || !whole(out, 3, "B", 1) || !same_size(frame, out) || !whole(log_gain, 3, "f", 4) ||
        !whole(shift, 3, "f", 4) || !same_size(log_gain, shift) || !whole(log_gain_mean, 2, "f", 4) ||
        !whole(shift_mean, 2, "f", 4) || !same_size(log_gain_mean, shift_mean)) {
        PyErr_SetString(
            PyExc_ValueError,
            "frame and out are uint8 (H, W, 3), log_gain and shift float32 (h, w, 3), their means float32 and of two "
            "dimensions, each whole in memory"
        );
        goto release;
    }
    Grid grid = {
        .log_gain = log_gain->buf, .log_gain_mean = log_gain_mean->buf, .shift = shift->buf,
        .shift_mean = shift_mean->buf, .coarse_rows = log_gain->shape[0], .coarse_cells = log_gain->shape[1],
        .rows = log_gain_mean->shape[0], .cells = log_gain_mean->shape[1], .most = most,
    };
    Py_BEGIN_ALLOW_THREADS
    failed = clear_frame(&grid, light, frame, out);
    Py_END_ALLOW_THREADS
    if (failed)
        PyErr_NoMemory();
    else
        result = Py_NewRef(Py_None);
release:
    while (taken-- > 0) PyBuffer_Release(&views[taken]);
    return result;
}

static PyMethodDef methods[] = {
    {"clear", clear, METH_VARARGS,
     "clear(frame, log_gain, log_gain_mean, shift, shift_mean, light, most, out): the clear frame to out."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "edge.native.loops", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit_loops(void) { return PyModule_Create(&module); }
