/* winograd.c: how Conv2D with windows of 3x3 is summed by Winograd's F(4x4, 3x3): when that pays,
 * and in which blocks of tiles. Kernels: templates/winograd.c. */
#include "conv2d.h"
#include "emit.h"

extern const Op op_winograd_pack;

enum {
    SIDE = 4,                /* results of a tile in each direction */
    FREQUENCIES = 36,        /* products of a tile */
    TILES = 56,              /* of a block: each meets all of the kernel */
    MOST_TILES = 72,         /* of whole pictures */
    CACHE_BYTES = 5 << 18,   /* what a block's products may take of the second cache */
    LINE = 16,               /* numbers in a line of the cache */
    LARGE_KERNEL = 16 << 20, /* bytes of a packed kernel that is better made anew by each block */
    PART_PLANES = 4, /* of such a kernel at a time, by so many groups: 36 x 64 x 64 numbers */
    PART_GROUPS = 2
};

/* ---- When it pays ---------------------------------------------------------------------------- */

/* Frequencies in one direction: a last tile with one or two results uses four of the six. */
static int64_t count_frequencies(int64_t length)
{
    return 6 * ceil_div(length, SIDE) - ((length - 1) % SIDE < 2 ? 2 : 0);
}

/* Of Winograd's sum to the direct one. */
static double relative_products(const Axis *h, const Axis *w)
{
    return (double)count_frequencies(h->count) * (double)count_frequencies(w->count) /
           (9.0 * (double)h->count * (double)w->count);
}

/* A tile's transforms take about as long as 7.5 / K (of x) and 5.6 / C (of the products) of its
 * multiplications. */
static double relative_time(const Axis *h, const Axis *w, int64_t inputs, int64_t outputs)
{
    return relative_products(h, w) * (1 + 7.5 / (double)outputs + 5.6 / (double)inputs);
}

static bool fits(const Axis *h, const Axis *w, int64_t inputs, int64_t outputs)
{
    return h->taps == 3 && w->taps == 3 && h->stride == 1 && w->stride == 1 && h->dilation == 1 &&
           w->dilation == 1 && inputs >= LANES && outputs >= LANES;
}

Choice *choose_sum(const Model *m, const char *stem, const Axis *h, const Axis *w, int64_t inputs,
                   int64_t outputs)
{
    Choice *c = alloc(1, sizeof *c);
    c->why = "direct: Winograd wants windows of 3x3 at strides of 1, and 16 channels";
    if (!fits(h, w, inputs, outputs)) return c;
    const char *key = format("%s_3x3_%lldx%lld_%lld_%lld", stem, (long long)h->count,
                             (long long)w->count, (long long)inputs, (long long)outputs);
    const Choice *tuned = find_choice(m->tuning, key);
    const double time = relative_time(h, w, inputs, outputs);
    if (tuned)
        *c = *tuned;
    else
        *c = (Choice){.winograd = time < 1, .why = "by the cost model"};
    c->key = key;
    if (!c->winograd && tuned) c->why = format("direct, %s", c->why);
    if (!c->winograd && !tuned)
        c->why = format("direct: Winograd would take %.2f of the time, %s", time, c->why);
    return c;
}

/* ---- Blocks of tiles ------------------------------------------------------------------------- */

typedef struct {
    int64_t pictures, rows, columns; /* of tiles */
    int64_t a_picture;               /* blocks in a picture; 1 where pictures > 1 */
} Blocks;

/* Equal parts of `length`, of about `wanted` each; returns the size of one. */
static int64_t even_part(int64_t length, int64_t wanted)
{
    return wanted >= length ? length : ceil_div(length, ceil_div(length, wanted > 1 ? wanted : 1));
}

/* Of about `tiles` tiles; whole pictures where `most` tiles hold at least one. */
static Blocks cut_pictures(const Axis *h, const Axis *w, int64_t tiles, int64_t most, int64_t batch)
{
    const int64_t rows = ceil_div(h->count, SIDE), columns = ceil_div(w->count, SIDE);
    Blocks b = {1, rows, columns, 1};
    if (rows * columns <= most) {
        b.pictures = most / (rows * columns);
        if (b.pictures > batch) b.pictures = batch;
        return b;
    }
    b.columns = even_part(columns, 2 * columns < 3 * tiles ? columns : tiles);
    b.rows = even_part(rows, (tiles + b.columns / 2) / b.columns);
    b.a_picture = ceil_div(rows, b.rows) * ceil_div(columns, b.columns);
    return b;
}

static int64_t count_tiles(const Blocks *b) { return b->pictures * b->rows * b->columns; }

static Blocks choose_blocks(const Choice *c, const Axis *h, const Axis *w, int64_t batch)
{
    const int64_t tiles = c->tiles ? c->tiles : TILES;
    return cut_pictures(h, w, tiles, tiles * MOST_TILES / TILES, batch);
}

/* Numbers of some planes of inputs times a group of outputs at one frequency: PANEL of the
 * template. */
static int64_t count_panel(int64_t planes) { return planes * LANES * 2 * LANES + LINE; }

static int64_t count_packed(int64_t inputs, int64_t outputs)
{
    return FREQUENCIES * ceil_div(outputs, 2 * LANES) * count_panel(ceil_div(inputs, LANES));
}

/* Does a training step of the model leave the weight as it is? */
static bool is_frozen_somewhere(const Graph *g, const Weight *w)
{
    for (int i = 0; i < g->model->phase_count; i++)
        if (g->model->phases[i]->frozen[w->layer->index]) return true;
    return false;
}

/* Whether each block transforms the kernel for itself. A large one is packed at four times its
 * size, and a block of a whole picture can transform it as fast, within a tenth, if every training
 * step must do it anyway; what comes once before many runs is worth its memory. */
static bool stays_unpacked(const Graph *g, const Blocks *b, const Weight *w, int64_t count,
                           int variant)
{
    const bool trained =
        is_trainable(g, w) || (g->model->phase_count && !is_frozen_somewhere(g, w));
    return !(variant & AMX) && b->a_picture == 1 && count * sizeof(float) >= LARGE_KERNEL &&
           trained;
}

/* Groups of output channels that a block meets at once: as many as their products fit the cache. */
static int64_t choose_groups(const Choice *c, const Blocks *b, int64_t outputs, int variant)
{
    const int64_t most = ceil_div(outputs, 2 * LANES);
    int64_t groups =
        CACHE_BYTES / (FREQUENCIES * count_tiles(b) * 2 * LANES * (int64_t)sizeof(float));
    if (variant & UNPACKED) groups = PART_GROUPS;
    if (c->groups) groups = c->groups;
    return groups < 1 ? 1 : groups > most ? most : groups;
}

/* Bytes of a block's values, of the products with some groups, and of a part of the kernel. */
static size_t block_bytes(const Blocks *b, int64_t planes, int64_t groups, int variant)
{
    const int64_t part = variant & UNPACKED ? groups * count_panel(PART_PLANES) : 0;
    return (size_t)(FREQUENCIES *
                    ((planes + 2 * groups) * count_tiles(b) * LANES + 2 * LINE + part)) *
           sizeof(float);
}

/* n's choice with all that is known of it. */
static void describe(Node *n, const Axis *h, const Axis *w, const Blocks *b, int64_t groups)
{
    Choice *c = alloc(1, sizeof *c);
    *c = *n->choice;
    c->why = format("Winograd F(4x4, 3x3), %lld tiles a block, %lld group%s: %.2f of the direct "
                    "sum's products, %s",
                    (long long)count_tiles(b), (long long)groups, groups == 1 ? "" : "s",
                    relative_products(h, w), c->why);
    n->choice = c;
}

/* ---- Hooks ----------------------------------------------------------------------------------- */

/* What the windows of the tiles cover beyond x. A last tile of one or two results reads four
 * numbers instead of six. */
static int reach(const Axis *a)
{
    const int64_t few = (a->count - 1) % SIDE < SIDE / 2 ? SIDE / 2 : 0;
    const int64_t end = SIDE * ceil_div(a->count, SIDE) - few + 2 - a->before;
    return end > a->length ? (int)(end - a->length) : 0;
}

static Layout input_layout(const Axis *h, const Axis *w)
{
    return (Layout){LANES, (int)h->before, reach(h), (int)w->before, reach(w)};
}

void select_winograd(Graph *g, Node *n, const Axis *h, const Axis *w, int variant)
{
    const int64_t *kernel = n->in[1]->dims;
    const bool turned = variant & TURNED;
    const int64_t inputs = kernel[turned ? 3 : 2], outputs = kernel[turned ? 2 : 3];
    want_layout(g, n, 0, input_layout(h, w), false);
    n->out[0]->layout = (Layout){.lanes = LANES};
    const Blocks b = choose_blocks(n->choice, h, w, g->batch);
    const int64_t packed = count_packed(inputs, outputs);
    if (stays_unpacked(g, &b, n->in[1]->weight, packed, variant)) variant |= UNPACKED;
    n->variant = variant;
    const int64_t groups = choose_groups(n->choice, &b, outputs, variant);
    n->scratch = block_bytes(&b, ceil_div(inputs, LANES), groups, variant);
    describe(n, h, w, &b, groups);
    if (!(variant & UNPACKED)) pack_weight(g, n, 1, &op_winograd_pack, packed);
}

static const char *need_output(Emit *e, const Node *n)
{
    const char *name = format("winograd_output%s%s%s", n->fused ? "_" : "",
                              n->fused ? n->fused : "", n->pooled ? "_pool" : "");
    set(e, "$pooled", "%d", n->pooled);
    set(e, "$epilogue", n->fused ? "NAME(act_%s)(v)" : "v", n->fused);
    set(e, "$output", "%s", name);
    need_text(e, name, fill_section(e, "winograd_output"));
    return name;
}

static void need_parts(Emit *e)
{
    need_section(e, "lanes");
    need_section(e, "tile");
    need_section(e, "activations");
    need_section(e, "winograd_points");
}

static void need_tiles(Emit *e)
{
    need_parts(e);
    need_section(e, "winograd_input");
    need_section(e, "winograd_tiles");
    need_section(e, "winograd_blocks");
}

static void set_blocks(Emit *e, const Axis *h, const Axis *w, const Blocks *b)
{
    set(e, "$sums", "%lld, %lld", (long long)h->count, (long long)w->count);
    set(e, "$padding", "%lld, %lld", (long long)h->before, (long long)w->before);
    set(e, "$block", "%lld, %lld, %lld", (long long)b->pictures, (long long)b->rows,
        (long long)b->columns);
}

void emit_winograd(Emit *e, const Node *n, const Axis *h, const Axis *w)
{
    const Tensor *x = n->in[0], *y = n->out[0];
    const Blocks b = choose_blocks(n->choice, h, w, e->g->batch);
    const int64_t groups = ceil_div(blocks_of(y), 2), *kernel = n->in[1]->dims;
    const bool unpacked = n->variant & UNPACKED;
    need_tiles(e);
    need_section(e, "winograd_products");
    need_section(e, "winograd_kernel");
    need_section(e, "winograd_output_parts");
    const char *output = need_output(e, n);
    need_section(e, "winograd");
    const char *name = format(
        "winograd_%lldx%lld_%d_%d%s%s%s", (long long)h->count, (long long)w->count, channels_of(x),
        channels_of(y), n->fused ? "_" : "", n->fused ? n->fused : "", n->pooled ? "_pool" : "");
    set_shape(e, "$X", x);
    set_shape(e, "$Y", y);
    set_blocks(e, h, w, &b);
    set(e, "$groups", "%lld", (long long)choose_groups(n->choice, &b, channels_of(y), n->variant));
    set(e, "$planes", "%d", unpacked ? PART_PLANES : 0);
    set(e, "$kernel", "%lld, %lld", unpacked ? (long long)kernel[2] : 0,
        unpacked ? (long long)kernel[3] : 0);
    set(e, "$turned", "%d", n->variant & TURNED);
    set(e, "$bias", n->in_count > 2 ? "call->in[2]" : "NULL");
    set(e, "$pooled", "%d", 1 + n->pooled);
    set(e, "$output", "%s", output);
    const char *blocks = b.pictures > 1 ? format("(n + %lld) / %lld", (long long)b.pictures - 1,
                                                 (long long)b.pictures)
                                        : format("n * %lld", (long long)b.a_picture);
    emit_kernel(e, n, "winograd_conv2d", name,
                format("rt_tasks(r, %s, %lld)", blocks, (long long)groups));
}

/* ---- Gradient of the kernel ------------------------------------------------------------------ */

enum { DW_TILES = 32, DW_PLANES = 4, DW_TASKS = 8 };

/* Blocks of channels of x and of dy that a task takes: fewer where there would be too few tasks. */
static void choose_planes(int64_t x_blocks, int64_t y_blocks, int64_t *x, int64_t *y)
{
    *x = *y = DW_PLANES;
    if (ceil_div(x_blocks, *x) * ceil_div(y_blocks, *y) < DW_TASKS) *y /= 2;
    if (ceil_div(x_blocks, *x) * ceil_div(y_blocks, *y) < DW_TASKS) *x /= 2;
}

static Blocks choose_dw_blocks(const Choice *c, const Axis *h, const Axis *w, int64_t batch)
{
    const int64_t tiles = c->tiles ? ceil_div(c->tiles * DW_TILES, TILES) : DW_TILES;
    return cut_pictures(h, w, tiles, tiles, batch);
}

/* Reads dy in whole tiles or in tiles of two: beyond its edge it must be zero. */
void select_winograd_dw(Graph *g, Node *n, const Axis *h, const Axis *w)
{
    const Blocks b = choose_dw_blocks(n->choice, h, w, g->batch);
    int64_t x, y;
    choose_planes(ceil_div(n->in[0]->dims[3], LANES), ceil_div(n->in[1]->dims[3], LANES), &x, &y);
    want_layout(g, n, 0, input_layout(h, w), false);
    want_layout(g, n, 1, (Layout){LANES, 0, (int)(h->count % 2), 0, (int)(w->count % 2)}, false);
    n->variant = WINOGRAD;
    n->scratch = (size_t)(FREQUENCIES *
                          ((x + y) * count_tiles(&b) * LANES + 2 * LINE + x * y * LANES * LANES)) *
                 sizeof(float);
    describe(n, h, w, &b, ceil_div(y, 2));
}

void emit_winograd_dw(Emit *e, const Node *n, const Axis *h, const Axis *w)
{
    const Tensor *x = n->in[0], *dy = n->in[1];
    const Blocks b = choose_dw_blocks(n->choice, h, w, e->g->batch);
    int64_t x_planes, y_planes;
    choose_planes(blocks_of(x), blocks_of(dy), &x_planes, &y_planes);
    need_tiles(e);
    need_section(e, "winograd_dw");
    set_gradient(e, n, 2);
    set_shape(e, "$X", x);
    set_shape(e, "$Y", dy);
    set_blocks(e, h, w, &b);
    set(e, "$x_planes", "%lld", (long long)x_planes);
    set(e, "$y_planes", "%lld", (long long)y_planes);
    emit_kernel(e, n, "winograd_conv2d_dw",
                format("winograd_dw_%lldx%lld_%d_%d", (long long)h->count, (long long)w->count,
                       channels_of(x), channels_of(dy)),
                format("%lld", (long long)(ceil_div(blocks_of(x), x_planes) *
                                           ceil_div(blocks_of(dy), y_planes))));
}

/* ---- Packed kernels -------------------------------------------------------------------------- */

static void emit_pack(Emit *e, const Node *n)
{
    const int64_t *d = n->in[0]->dims;
    const bool turned = n->variant & TURNED;
    const int64_t outputs = d[turned ? 2 : 3], inputs = d[turned ? 3 : 2];
    if (n->variant & AMX) emit_amx_pack_body(e, n, LANES);
    need_parts(e);
    need_section(e, "winograd_kernel");
    set(e, "$kernel", "%lld, %lld", (long long)d[2], (long long)d[3]);
    set(e, "$turned", "%d", turned);
    emit_kernel(
        e, n, "winograd_pack",
        shape_name(turned ? "winograd_pack_turned" : "winograd_pack", n->in[0]),
        format("%lld", (long long)(ceil_div(outputs, 2 * LANES) * ceil_div(inputs, LANES))));
}

const Op op_winograd_pack = {
    .name = "winograd_pack",
    .doc = "Conv2D's kernel at the frequencies of Winograd's tiles; variant 3: turned",
    .flags = OP_PACK,
    .infer = infer_same,
    .emit = emit_pack,
};
