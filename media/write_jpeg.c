/* SPDX-License-Identifier: MIT */
/* write_jpeg.c: JPEG through libjpeg-turbo: baseline, the accurate integer DCT, tables made for the
 * picture, and chroma at full resolution (4:4:4) unless asked for less, since the pixels are there
 * to be looked at closely.
 *
 * libjpeg reports errors by a call that must not return: it jumps. Everything that must survive the
 * jump lives in one struct of the caller's frame. */
#include "picture_write.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

enum { BUFFER = 1 << 16 };

typedef struct writer {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr to;
    jmp_buf jump;
    tsr_context *ctx;
    const tsr_picture_job *job;
    tsr_status status;
    JOCTET buffer[BUFFER];
} writer;

static void on_error(j_common_ptr jpeg) {
    writer *w = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    if (!w->status)
        w->status = tsr_fail(w->ctx, TSR_ERROR_MEMORY, "%s: JPEG: %s", w->job->name, text);
    longjmp(w->jump, 1);
}

static void on_message(j_common_ptr jpeg) {
    (void)jpeg;
}

static void begin_buffer(j_compress_ptr jpeg) {
    writer *w = jpeg->client_data;
    w->to.next_output_byte = w->buffer;
    w->to.free_in_buffer = BUFFER;
}

static void flush(writer *w, size_t bytes) {
    w->status = tsr_out_write(w->ctx, w->job->out, w->buffer, bytes);
    if (w->status) longjmp(w->jump, 1);
}

static boolean empty_buffer(j_compress_ptr jpeg) { /* all of it, whatever the fields say */
    flush(jpeg->client_data, BUFFER);
    begin_buffer(jpeg);
    return TRUE;
}

static void end_buffer(j_compress_ptr jpeg) {
    writer *w = jpeg->client_data;
    flush(w, BUFFER - w->to.free_in_buffer);
}

static void write_picture(writer *w) {
    j_compress_ptr jpeg = &w->jpeg;
    const tsr_picture_job *job = w->job;
    jpeg_create_compress(jpeg);
    w->to = (struct jpeg_destination_mgr){.init_destination = begin_buffer,
                                          .empty_output_buffer = empty_buffer,
                                          .term_destination = end_buffer};
    jpeg->dest = &w->to;
    jpeg->image_width = (JDIMENSION)job->width;
    jpeg->image_height = (JDIMENSION)job->height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, job->quality, TRUE);
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->optimize_coding = TRUE;
    jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = job->half_chroma ? 2 : 1;
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        /* libjpeg reads rows and does not write them, but its type has no const. */
        JSAMPROW row = (JSAMPROW)(job->rgb + (size_t)jpeg->next_scanline * (size_t)job->width * 3);
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

tsr_status tsr_jpeg_put(tsr_context *ctx, const tsr_picture_job *job) {
    writer *w = tsr_alloc(ctx, 1, sizeof *w, job->name);
    if (!w) return TSR_ERROR_MEMORY;
    w->ctx = ctx;
    w->job = job;
    w->jpeg.err = jpeg_std_error(&w->errors);
    w->errors.error_exit = on_error;
    w->errors.output_message = on_message;
    w->jpeg.client_data = w;
    if (setjmp(w->jump) == 0) write_picture(w);
    jpeg_destroy_compress(&w->jpeg);
    const tsr_status status = w->status;
    free(w);
    return status;
}
