/* settings.c: what the course of a training depends on, in words: its options, its phases, its
 * data. A checkpoint keeps them, and a training goes on from it only with the same, so that it
 * comes to the weights that it would have come to without a break. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arrays.h"
#include "data.h"
#include "files.h"
#include "ground.h"
#include "session.h"
#include "training.h"
#include "weights.h"

static const char epochs_key[] = "epochs of phase ";

/* ---- Making them ----------------------------------------------------------------------------- */

/* key and value become the list's. */
static void add(RtTraining *training, char *key, char *value)
{
    training->settings =
        rt_grow(training->settings, training->setting_count + 1, sizeof *training->settings);
    training->settings[training->setting_count++] = (RtMeta){key, value};
}

static void add_options(RtTraining *training)
{
    RtMeta *given;
    size_t count = rt_options_list(training->session->options, &given);
    for (size_t i = 0; i < count; i++)
        add(training, rt_format("option:%s", given[i].key), given[i].value);
    free(given);
}

/* Length of the folder that all paths begin with. */
static size_t common_folder(const RtData *data)
{
    size_t length = strlen(data->paths[0]);
    for (size_t i = 1; i < data->count; i++) {
        size_t same = 0;
        while (same < length && data->paths[i][same] == data->paths[0][same]) same++;
        length = same;
    }
    while (length && data->paths[0][length - 1] != '/') length--;
    return length;
}

static void add_files(RtChecksum *hash, const RtData *data)
{
    size_t folder = common_folder(data);
    for (size_t i = 0; i < data->count; i++) {
        struct stat status;
        int64_t numbers[2] = {data->labels[i], -1};
        if (stat(data->paths[i], &status) == 0) numbers[1] = status.st_size;
        rt_checksum_add(hash, data->paths[i] + folder, strlen(data->paths[i] + folder) + 1);
        rt_checksum_add(hash, numbers, sizeof numbers);
    }
    for (int i = 0; i < data->class_count; i++)
        rt_checksum_add(hash, data->classes[i], strlen(data->classes[i]) + 1);
}

static void add_array(RtChecksum *hash, const RtArray *array)
{
    rt_checksum_add(hash, array->dims, sizeof array->dims);
    rt_checksum_add(hash, array->data, (size_t)rt_array_count(array) * rt_type_size(array->type));
}

/* Names, sizes and labels of files. */
static char *describe_data(const RtData *data)
{
    if (!data) return rt_format("none");
    RtChecksum *hash = rt_checksum_open();
    if (data->paths) {
        add_files(hash, data);
    } else {
        add_array(hash, &data->x);
        add_array(hash, &data->y);
    }
    return rt_format("%zu pictures, %016" PRIx64, data->count, rt_checksum_close(hash));
}

/* What files hold, as long as reading them takes seconds; arrays are described above. NULL: not
 * compared. */
static char *describe_contents(RtData *data)
{
    static const uint64_t MOST = (uint64_t)4 << 30;
    if (!data || !data->paths || rt_file_bytes(data) > MOST) return NULL;
    const RtContent *contents = rt_contents(data);
    RtChecksum *hash = rt_checksum_open();
    for (size_t i = 0; i < data->count; i++)
        rt_checksum_add(hash, &contents[i].hash, sizeof contents[i].hash);
    return rt_format("%016" PRIx64, rt_checksum_close(hash));
}

static void add_data(RtTraining *training, const char *name, RtData *data)
{
    char *contents = describe_contents(data);
    add(training, rt_format("%s", name), describe_data(data));
    if (contents) add(training, rt_format("contents of the %s", name), contents);
}

/* Of the program itself: one made by another compiler may round in other places. */
static char *describe_program(void)
{
    if (access("/proc/self/exe", R_OK) != 0) return rt_format("unknown");
    size_t bytes;
    const unsigned char *map = rt_map("/proc/self/exe", SIZE_MAX, RT_FAILED, &bytes);
    char *text = rt_format("%016" PRIx64, rt_checksum_mapped(map, bytes));
    rt_unmap(map, bytes);
    return text;
}

void rt_settings_make(RtTraining *training)
{
    const RtModel *model = training->session->model;
    const RtData *data = training->data;
    if (!training->folder) return;
    add_options(training);
    for (int i = 0; i < model->phase_count; i++) {
        if (!rt_training_runs(training, i)) continue;
        const char *recipe = model->phases[i].recipe;
        add(training, rt_format("phase %s", model->phases[i].name),
            rt_format("%s", recipe ? recipe : ""));
        add(training, rt_format("%s%s", epochs_key, model->phases[i].name),
            rt_format("%d", rt_training_epochs(training, i)));
    }
    add_data(training, "data", training->data);
    add_data(training, "validation data", training->validation);
    add(training, rt_format("classes"), rt_class_list(data->classes, data->class_count));
    add(training, rt_format("level"), rt_format("%s", rt_level_name(training->session->level)));
    add(training, rt_format("program"), describe_program());
}

/* ---- Comparing ------------------------------------------------------------------------------- */

typedef struct {
    char *text; /* a line each */
    bool options;
} Changes;

static void note_change(Changes *changes, const char *key, const char *before, const char *now)
{
    const char *option = strncmp(key, "option:", 7) == 0 ? key + 7 : NULL;
    char *text = rt_format("%s\n  %s: %s -> %s", changes->text ? changes->text : "",
                           option ? option : key, before, now);
    free(changes->text);
    changes->text = text;
    if (option || strncmp(key, epochs_key, sizeof epochs_key - 1) == 0) changes->options = true;
}

/* Epochs of a phase may be more or fewer as long as no number that was computed depends on them:
 * those of phases before the one under way are over. */
static bool may_differ(const RtTraining *training, const char *key, const char *now)
{
    if (strncmp(key, "option:", 7) == 0) return rt_option_is_loose(key + 7);
    if (strncmp(key, epochs_key, sizeof epochs_key - 1) != 0) return false;
    const RtModel *model = training->session->model;
    int phase = (int)(rt_find_phase(model, key + sizeof epochs_key - 1) - model->phases);
    int64_t under_way = rt_checkpoint_number(training, "training.phase");
    int64_t done = rt_checkpoint_number(training, "training.epoch");
    if (rt_checkpoint_number(training, "training.position")) done++; /* begun */
    return phase > under_way || (phase == under_way && atoi(now) >= done);
}

/* Bits differ from level to level: that is the user's choice where there is one. */
static void check_level(const RtTraining *training, const char *before, const char *now)
{
    const char *wish = getenv("TLC_LEVEL");
    bool could = (!wish || !*wish) && rt_level_is_below(before, training->session->level);
    if (could)
        rt_die(RT_USAGE,
               rt_format("TLC_LEVEL=%s goes on with the same bits, TLC_LEVEL=%s with others",
                         before, now),
               "%s: began with kernels of level %s; this machine uses %s", training->folder, before,
               now);
    rt_warn("%s: began with kernels of level %s; %s will differ in last bits", training->folder,
            before, now);
}

static void compare(const RtTraining *training, const RtMeta *now, Changes *changes)
{
    const char *before = rt_tensors_meta(training->checkpoint, now->key);
    if (!before || strcmp(before, now->value) == 0 || may_differ(training, now->key, now->value))
        return;
    if (strcmp(now->key, "level") == 0)
        check_level(training, before, now->value);
    else if (strcmp(now->key, "program") == 0)
        rt_warn("%s: began with another build of this program; last bits may differ",
                training->folder);
    else
        note_change(changes, now->key, before, now->value);
}

/* --until may name a later phase than before, not one that is over. */
static void check_phase_runs(const RtTraining *training)
{
    const RtPhase *phases = training->session->model->phases;
    int phase = (int)rt_checkpoint_number(training, "training.phase");
    if (phase < 0 || phase >= training->session->model->phase_count)
        rt_die(RT_BAD_WEIGHTS, NULL, "%s: is in no phase of this model", training->checkpoint_path);
    const char *until = training->session->options->until;
    if (until && !rt_training_runs(training, phase))
        rt_die(RT_USAGE, "--fresh starts anew; --out DIR trains elsewhere",
               "--until %s: the training in %s is in phase %s already", until, training->folder,
               phases[phase].name);
}

void rt_settings_check(const RtTraining *training)
{
    Changes changes = {0};
    check_phase_runs(training);
    for (size_t i = 0; i < training->setting_count; i++)
        compare(training, &training->settings[i], &changes);
    if (!changes.text) return;
    rt_die(changes.options ? RT_USAGE : RT_BAD_WEIGHTS,
           "--fresh starts anew and removes it; --out DIR trains elsewhere and keeps it",
           "%s: holds a training that began with other settings%s", training->folder, changes.text);
}

void rt_settings_free(RtTraining *training)
{
    for (size_t i = 0; i < training->setting_count; i++) {
        free(training->settings[i].key);
        free(training->settings[i].value);
    }
    free(training->settings);
}
