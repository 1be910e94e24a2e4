/* SPDX-License-Identifier: MIT */
/* out_file.c: see out_file.h. */
#include "out_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int out_file_open(tool *t, out_file *o, const char *path) {
    *o = (out_file){.file = stdout, .path = path};
    if (args_is_stdout(path)) return -1;
    const int length = snprintf(o->temporary, sizeof o->temporary, "%s.tmp-XXXXXX", path);
    if (length >= (int)sizeof o->temporary)
        return tool_fail_text(t, TSR_ERROR_ARGUMENT, "%s: the path is too long", path);
    const int fd = mkstemp(o->temporary);
    o->file = fd < 0 ? NULL : fdopen(fd, "w");
    if (o->file) return -1;
    const int why = errno;
    if (fd >= 0) {
        close(fd);
        unlink(o->temporary);
    }
    return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", path, strerror(why));
}

int out_file_close(tool *t, out_file *o, bool keep) {
    if (!*o->temporary) return -1; /* main looks whether all of stdout arrived */
    bool lost = fflush(o->file) != 0 || ferror(o->file) || fsync(fileno(o->file)) != 0;
    int why = errno;
    if (keep && !lost) { /* mkstemp's file is for its owner alone */
        const mode_t mask = umask(0);
        umask(mask);
        fchmod(fileno(o->file), 0666 & ~mask);
    }
    if (fclose(o->file) != 0 && !lost) {
        lost = true;
        why = errno;
    }
    if (keep && !lost && rename(o->temporary, o->path) != 0) {
        lost = true;
        why = errno;
    }
    if (!keep || lost) unlink(o->temporary);
    if (keep && lost) return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", o->path, strerror(why));
    return -1;
}
