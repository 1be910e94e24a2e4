/* SPDX-License-Identifier: MIT */
/* report_run.c: see report_run.h.
 *
 * FOLDER/candidates/NAME/ is one candidate: tokens.tess (of tokenizers), pictures/ (what it gave
 * back), report.json (its measurement), and made-by, a text of everything that the numbers depend
 * on. made-by is written last: a folder whose made-by says what is asked for is finished. */
#include "report_run.h"
#include "measure_codes.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_BYTES = 160, PATH_BYTES = 4200, MADE_BYTES = 16384 };

typedef struct report_job {
    tool *t;
    const report_order *o;
    tsr_originals *originals;
    tsr_report *report;
    char hash[32];       /* of the originals, as the report says it */
    uint64_t steps, all; /* pictures that were encoded or measured, and will be */
    char what[64];
    /* the candidate at work */
    char folder[PATH_BYTES], sides[NAME_BYTES], name[NAME_BYTES];
    tsr_status pair_status;
} report_job;

/* ---- small things ---- */

static int tell_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    const report_job *j = user;
    (void)what;
    (void)total;
    return tool_progress(j->t, j->what, j->steps + done, j->all);
}

/* Letters, digits and dots of a text as the name of a folder. */
static void slug(const char *text, char name[NAME_BYTES]) {
    size_t n = 0;
    for (const char *c = text; *c && n + 1 < NAME_BYTES; ++c) {
        const bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                           (*c >= '0' && *c <= '9') || *c == '.';
        if (plain && (n || *c != '.'))
            name[n++] = *c;
        else if (n && name[n - 1] != '-')
            name[n++] = '-';
    }
    while (n && name[n - 1] == '-')
        n--;
    snprintf(name + n, NAME_BYTES - n, "%s", n ? "" : "candidate");
}

static bool file_says(const char *path, const char *text) {
    FILE *f = fopen(path, "rb");
    char *got = f ? malloc(MADE_BYTES + 1) : NULL;
    const size_t n = got ? fread(got, 1, MADE_BYTES, f) : 0;
    if (got) got[n] = 0;
    const bool same = got && !strcmp(got, text);
    free(got);
    if (f) fclose(f);
    return same;
}

static int write_text(report_job *j, const char *path, const char *text) {
    const tsr_status status = tsr_report_write(j->t->ctx, path, text);
    return status ? tool_fail(j->t, status) : -1;
}

/* Everything that the numbers of a candidate depend on, one line each. */
static void made_by(const report_job *j, const char *what, const measure_command *command,
                    char text[MADE_BYTES]) {
    size_t n = (size_t)snprintf(text, MADE_BYTES, "tessera %s\noriginals %s\n%s\n", tsr_version(),
                                j->hash, what);
    for (int i = 0; i < command->count && n < MADE_BYTES; ++i)
        n += (size_t)snprintf(text + n, MADE_BYTES - n, "%s\n", command->at[i]);
}

static bool is_tokens(const char *path) {
    const size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".tess");
}

/* ---- both sides as pictures ---- */

static int write_side(report_job *j, const char *folder, const char *name, const uint8_t *rgb,
                      int width, int height) {
    char path[2 * PATH_BYTES], parent[2 * PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s.png", folder, name);
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = 0;
    if (tool_make_folders(j->t, parent) >= 0) return 1;
    j->pair_status = tsr_picture_write_png(j->t->ctx, path, width, height, rgb);
    return j->pair_status != TSR_OK;
}

/* tsr_pair_fn. Originals that several candidates see alike are written once. */
static int keep_pair(void *user, uint64_t index, const char *name, const uint8_t *original,
                     const uint8_t *candidate, int width, int height) {
    report_job *j = user;
    (void)index;
    char folder[PATH_BYTES + 32], path[2 * PATH_BYTES];
    struct stat st;
    snprintf(folder, sizeof folder, "%s/pictures", j->folder);
    if (write_side(j, folder, name, candidate, width, height)) return 1;
    snprintf(folder, sizeof folder, "%s/originals/%s", j->o->folder, j->sides);
    snprintf(path, sizeof path, "%s/%s.png", folder, name);
    return stat(path, &st) ? write_side(j, folder, name, original, width, height) : 0;
}

/* tsr_pair_fn: text and faces, and both sides as pictures, whichever was asked for. */
static int look_at_pair(void *user, uint64_t index, const char *name, const uint8_t *original,
                        const uint8_t *candidate, int width, int height) {
    report_job *j = user;
    if (j->o->content &&
        content_pair(j->o->content, index, name, original, candidate, width, height)) {
        j->pair_status = j->o->content->status;
        return 1;
    }
    return j->o->pictures ? keep_pair(user, index, name, original, candidate, width, height) : 0;
}

static int name_sides(report_job *j, tsr_measurement *m) {
    tsr_measured about;
    tsr_measurement_about(m, &about);
    for (uint64_t i = 0; i < about.pictures; ++i) {
        tsr_measured_picture p;
        char original[PATH_BYTES], candidate[PATH_BYTES];
        if (tsr_measurement_picture(m, i, &p) || p.status) continue;
        snprintf(original, sizeof original, "originals/%s/%s.png", j->sides, p.name);
        snprintf(candidate, sizeof candidate, "candidates/%s/pictures/%s.png", j->name, p.name);
        if (tsr_measurement_set_files(m, i, original, candidate))
            return tool_fail_text(j->t, TSR_ERROR_MEMORY, "report: names of pictures");
    }
    return -1;
}

/* What a tokenizer saw, as the name of a folder: candidates with one name have the same pictures.
 */
static void name_fit(const tsr_token_header *h, bool original, char name[NAME_BYTES]) {
    static const char *const fits[] = {"auto", "crop", "pad", "stretch", "tile"};
    if (!h)
        snprintf(name, NAME_BYTES, "as-they-are");
    else if (h->fit == TSR_FIT_TILE || (original && h->fit != TSR_FIT_CROP))
        snprintf(name, NAME_BYTES, "whole-%02x%02x%02x", h->background[0], h->background[1],
                 h->background[2]);
    else
        snprintf(name, NAME_BYTES, "%s%s-%ux%u-%u-%02x%02x%02x", original ? "original-" : "",
                 fits[h->fit], h->tile_width, h->tile_height, h->filter, h->background[0],
                 h->background[1], h->background[2]);
}

/* ---- one candidate ---- */

/* Takes the measurement of a finished candidate; false where there is none of this kind. */
static bool take_finished(report_job *j, const char *made) {
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/made-by", j->folder);
    if (!file_says(path, made)) return false;
    snprintf(path, sizeof path, "%s/report.json", j->folder);
    tsr_report *kept = NULL;
    const bool good = !tsr_report_read(j->t->ctx, path, &kept) && tsr_report_count(kept) == 1 &&
                      !tsr_report_move(j->report, kept);
    tsr_report_close(&kept);
    return good;
}

static int write_report(report_job *j, const tsr_report *report, const char *path) {
    char *json = NULL;
    const tsr_status status = tsr_report_json(report, &json);
    const int code = status ? tool_fail(j->t, status) : write_text(j, path, json);
    free(json);
    return code;
}

/* Measures, keeps the result in the candidate's folder, and adds it to the report. */
static int measure(report_job *j, const tsr_candidate *c, const measure_command *command,
                   const char *made, double encode_seconds) {
    tsr_measurement *m = NULL;
    tsr_report *own = NULL;
    char path[PATH_BYTES + 32];
    tsr_measure_settings s = j->o->meaning->settings;
    s.progress = tell_progress;
    s.progress_user = j;
    if (j->o->pictures || j->o->content) {
        s.pair = look_at_pair;
        s.pair_user = j;
    }
    j->pair_status = TSR_OK;
    tsr_status status = j->o->content ? content_begin(j->o->content) : TSR_OK;
    if (!status) status = tsr_measure(j->t->ctx, j->originals, c, &s, &m);
    if (status) return tool_fail(j->t, j->pair_status ? j->pair_status : status);
    if (!c->anchor) tsr_measurement_set_encode(m, encode_seconds);
    int code = j->o->pictures ? name_sides(j, m) : -1;
    const tsr_report_head head = {.seed = s.seed, .device = s.model.device};
    if (code < 0) {
        status = tsr_report_open(j->t->ctx, j->originals, j->o->originals, &head, &own);
        if (!status) status = tsr_report_add(own, &m, command->at, command->count);
        if (!status && j->o->content) status = content_attach(j->o->content, j->what, own);
        if (status) code = tool_fail(j->t, status);
    }
    if (code < 0 && c->path && is_tokens(c->path))
        code = measure_codes(j->t, c->path, c->tokens, own, 0);
    snprintf(path, sizeof path, "%s/report.json", j->folder);
    if (code < 0) code = write_report(j, own, path);
    snprintf(path, sizeof path, "%s/made-by", j->folder);
    if (code < 0) code = write_text(j, path, made);
    if (code < 0 && (status = tsr_report_move(j->report, own))) code = tool_fail(j->t, status);
    tsr_report_close(&own);
    tsr_measurement_close(&m);
    return code;
}

/* Folder of a candidate; one of another run's settings is only made anew with -f. */
static int begin(report_job *j, const char *name, const char *made, bool *finished) {
    char path[PATH_BYTES + 32];
    struct stat st;
    slug(name, j->name);
    snprintf(j->folder, sizeof j->folder, "%s/candidates/%s", j->o->folder, j->name);
    snprintf(j->what, sizeof j->what, "%.60s", name);
    snprintf(path, sizeof path, "%s/made-by", j->folder);
    *finished = take_finished(j, made);
    if (!*finished && !stat(path, &st)) {
        if (!j->o->force)
            return tool_fail_text(j->t, TSR_ERROR_EXISTS,
                                  "%s: a report of other pictures, models or settings is there; "
                                  "wanted an empty folder or the same command, or -f",
                                  j->folder);
        if (remove(path))
            return tool_fail_text(j->t, TSR_ERROR_IO, "%s: %s", path, strerror(errno));
    }
    return *finished ? -1 : tool_make_folders(j->t, j->folder);
}

static int measure_anchors(report_job *j, const char *model, const char *path, const char *name,
                           uint32_t tokens) {
    const measure_meaning *m = j->o->meaning;
    const int like = tsr_report_count(j->report) - 1;
    int code = -1;
    for (int i = 0; i < m->anchors.count && code < 0; ++i) {
        char what[2 * NAME_BYTES], made[MADE_BYTES];
        bool finished;
        measure_command command;
        snprintf(what, sizeof what, "%s like %s", m->anchors.at[i], name);
        measure_command_make(&command, path ? "eval" : "report", j->o->originals, path, model,
                             tokens, m->anchors.at[i], m);
        made_by(j, what, &command, made);
        code = begin(j, what, made, &finished);
        const tsr_candidate c = {.anchor = m->anchors.at[i],
                                 .like = tsr_report_candidate(j->report, like)};
        if (code < 0 && !finished) code = measure(j, &c, &command, made, NAN);
        j->steps += tsr_originals_count(j->originals);
        measure_command_free(&command);
    }
    return code;
}

/* ---- tokenizers ---- */

typedef struct encoded {
    char path[PATH_BYTES + 32];
    double seconds;
    tsr_token_header header;
} encoded;

/* A picture that cannot be encoded has no item, and no number: the measurement says so. */
static void failed_one(void *user, const tsr_encode_failure *failure) {
    (void)user;
    (void)failure;
}

/* Encodes all originals into the candidate's folder. */
static int encode(report_job *j, const char *model, uint32_t tokens, encoded *e) {
    tsr_encode_files_settings s = tsr_encode_files_settings_default();
    const measure_meaning *m = j->o->meaning;
    s.model = m->settings.model;
    s.model.model = model;
    s.encode.choice.tokens = tokens;
    s.encode.progress = tell_progress;
    s.encode.progress_user = j;
    s.source.key = TSR_KEY_AUTO;
    s.on_error = TSR_ON_ERROR_SKIP;
    s.failed = failed_one;
    tsr_encode_report r;
    remove(e->path);
    const tsr_status status = tsr_encode_files(j->t->ctx, &j->o->originals, 1, e->path, &s, &r);
    e->seconds = r.stages.encode;
    return status ? tool_fail(j->t, status) : -1;
}

static int read_header(report_job *j, encoded *e) {
    tsr_token_file *file = NULL;
    const tsr_status status = tsr_token_file_open(j->t->ctx, &file, e->path);
    if (!status) e->header = *tsr_token_file_header(file);
    tsr_token_file_close(&file);
    return status ? tool_fail(j->t, status) : -1;
}

/* What a model is, without encoding anything: its name and its hash. */
static int describe(report_job *j, const char *model, tsr_token_header *header) {
    tsr_model_settings s = j->o->meaning->settings.model;
    tsr_tokenizer *tokenizer = NULL;
    s.model = model;
    const tsr_status status = tsr_tokenizer_open(j->t->ctx, &tokenizer, &s);
    if (!status) *header = *tsr_tokenizer_header(tokenizer);
    tsr_tokenizer_close(&tokenizer);
    return status ? tool_fail(j->t, status) : -1;
}

static int measure_tokens(report_job *j, const char *asked, const char *model,
                          const tsr_token_header *h, uint32_t tokens) {
    char name[NAME_BYTES], what[NAME_BYTES + 64], made[MADE_BYTES];
    bool finished;
    measure_command command;
    encoded e = {.seconds = NAN};
    if (tokens)
        snprintf(name, sizeof name, "%.63s, %u tokens", h->tokenizer, tokens);
    else
        snprintf(name, sizeof name, "%.63s", h->tokenizer);
    snprintf(what, sizeof what, "%s %016" PRIx64, name, h->weights_hash);
    measure_command_make(&command, "report", j->o->originals, NULL, asked, tokens, NULL,
                         j->o->meaning);
    made_by(j, what, &command, made);
    int code = begin(j, name, made, &finished);
    snprintf(e.path, sizeof e.path, "%s/tokens.tess", j->folder);
    if (code < 0 && !finished) {
        code = encode(j, model, tokens, &e);
        if (code < 0) code = read_header(j, &e);
    }
    j->steps += tsr_originals_count(j->originals);
    const tsr_candidate c = {.path = e.path,
                             .name = name,
                             .series = h->tokenizer,
                             .models = &model,
                             .model_count = model ? 1 : 0};
    if (code < 0 && !finished) {
        name_fit(&e.header, j->o->meaning->settings.at == TSR_AT_ORIGINAL, j->sides);
        code = measure(j, &c, &command, made, e.seconds);
    } else if (code < 0) {
        code = read_header(j, &e); /* anchors are fitted likewise */
        if (code < 0) name_fit(&e.header, j->o->meaning->settings.at == TSR_AT_ORIGINAL, j->sides);
    }
    measure_command_free(&command);
    j->steps += tsr_originals_count(j->originals);
    return code < 0 ? measure_anchors(j, asked, NULL, name, tokens) : code;
}

static int measure_model(report_job *j, int index) {
    const measure_meaning *m = j->o->meaning;
    const char *asked = m->model_count ? m->choices->models.at[index] : NULL;
    const char *model = m->model_count ? m->models[index] : NULL;
    tsr_token_header header;
    int code = describe(j, model, &header);
    if (code < 0 && header.tile_frames)
        code = tool_fail_text(j->t, TSR_ERROR_UNSUPPORTED,
                              "%s: wanted a tokenizer of pictures, got one of videos",
                              header.tokenizer);
    const int count = m->token_count ? m->token_count : 1;
    for (int i = 0; i < count && code < 0; ++i)
        code = measure_tokens(j, asked, model, &header, m->token_count ? m->tokens[i] : 0);
    return code;
}

/* ---- what exists already ---- */

/* Size and time of change: what a path stands for may have been replaced. */
static void state_of(const char *path, char text[64]) {
    struct stat st = {0};
    (void)stat(path, &st);
    snprintf(text, 64, "%lld bytes, changed %lld", (long long)st.st_size, (long long)st.st_mtime);
}

static int measure_path(report_job *j, const char *path, uint32_t tokens) {
    const measure_meaning *m = j->o->meaning;
    char name[NAME_BYTES], what[PATH_BYTES + 96], made[MADE_BYTES], state[64];
    bool finished;
    measure_command command;
    encoded e = {.seconds = NAN};
    if (tokens)
        snprintf(name, sizeof name, "%.120s, %u tokens", path, tokens);
    else
        snprintf(name, sizeof name, "%.150s", path);
    state_of(path, state);
    snprintf(what, sizeof what, "%s: %s", path, state);
    measure_command_make(&command, "eval", j->o->originals, path, NULL, tokens, NULL, m);
    made_by(j, what, &command, made);
    int code = begin(j, name, made, &finished);
    snprintf(e.path, sizeof e.path, "%s", path);
    if (code < 0 && is_tokens(path)) code = read_header(j, &e);
    name_fit(is_tokens(path) ? &e.header : NULL, m->settings.at == TSR_AT_ORIGINAL, j->sides);
    const tsr_candidate c = {.path = path,
                             .name = name,
                             .tokens = tokens,
                             .models = (const char *const *)m->models,
                             .model_count = m->model_count};
    if (code < 0 && !finished) code = measure(j, &c, &command, made, NAN);
    measure_command_free(&command);
    j->steps += tsr_originals_count(j->originals);
    return code < 0 && is_tokens(path) ? measure_anchors(j, NULL, path, name, tokens) : code;
}

/* ---- all of it ---- */

static int measure_all(report_job *j) {
    const report_order *o = j->o;
    const measure_meaning *m = o->meaning;
    const int counts = m->token_count ? m->token_count : 1;
    const uint64_t pictures = tsr_originals_count(j->originals);
    const bool models = m->model_count || !o->path_count;
    const int models_count = !models ? 0 : m->model_count ? m->model_count : 1;
    uint64_t steps = (uint64_t)models_count * (uint64_t)counts * (2 + (uint64_t)m->anchors.count);
    for (int i = 0; i < o->path_count; ++i)
        steps += is_tokens(o->paths[i]) ? (uint64_t)counts * (1 + (uint64_t)m->anchors.count) : 1;
    j->all = steps * pictures;
    int code = -1;
    for (int i = 0; i < models_count && code < 0; ++i)
        code = measure_model(j, i);
    for (int i = 0; i < o->path_count && code < 0; ++i)
        for (int k = 0; k < (is_tokens(o->paths[i]) ? counts : 1) && code < 0; ++k)
            code = measure_path(j, o->paths[i],
                                is_tokens(o->paths[i]) && m->token_count ? m->tokens[k] : 0);
    return code;
}

static int write_all(report_job *j) {
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/report.json", j->o->folder);
    int code = write_report(j, j->report, path);
    for (int pictures = 0; pictures < 2 && code < 0; ++pictures) {
        char *csv = NULL;
        const tsr_status status = tsr_report_csv(j->report, pictures, &csv);
        snprintf(path, sizeof path, "%s/%s.csv", j->o->folder, pictures ? "pictures" : "report");
        code = status ? tool_fail(j->t, status) : write_text(j, path, csv);
        free(csv);
    }
    return code;
}

int report_run(tool *t, const report_order *o, int *failed) {
    report_job j = {.t = t, .o = o};
    int code = tool_make_folders(t, o->folder);
    tsr_status status = TSR_OK;
    const tsr_measure_settings *s = &o->meaning->settings;
    const tsr_report_head head = {.command = o->command,
                                  .command_count = o->command_count,
                                  .seed = s->seed,
                                  .device = s->model.device};
    if (code < 0) status = tsr_originals_open(t->ctx, o->originals, &j.originals);
    if (code < 0 && !status)
        status = tsr_report_open(t->ctx, j.originals, o->originals, &head, &j.report);
    if (status) code = tool_fail(t, status);
    if (code < 0) snprintf(j.hash, sizeof j.hash, "%016" PRIx64, tsr_report_hash(j.report));
    if (code < 0) code = measure_all(&j);
    tool_progress_clear(t);
    if (code < 0) code = write_all(&j);
    if (code < 0) *failed = measure_say_failures(t, j.report);
    if (code < 0 && !t->o->quiet && !t->o->json) measure_print(j.report, false);
    tsr_report_close(&j.report);
    tsr_originals_close(&j.originals);
    return code;
}
