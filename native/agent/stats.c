#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "files.h"

// The files are those of Documentation/admin-guide/cgroup-v2.rst. The largest, memory.stat, has 60
// lines.
enum { FILE_SIZE = 8192, ENTRIES_MAX = 128 };

typedef Rund__Agent__V1__StatsResponse__MemoryStatEntry stat_entry;
typedef Rund__Agent__V1__StatsResponse__MemoryEventsEntry event_entry;

static bool read_stat(const char *directory, const char *name, char text[FILE_SIZE]) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return file_read(path, text, FILE_SIZE) >= 0;
}

// A file with one number, or "max".
static uint64_t read_number(const char *directory, const char *name) {
    char text[FILE_SIZE];
    if (!read_stat(directory, name, text)) {
        return 0;
    }
    return strncmp(text, "max", 3) == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
}

static void cpu_stat(const char *directory, Rund__Agent__V1__StatsResponse *response) {
    const struct {
        const char *name;
        uint64_t *value;
    } wanted[] = {
        {"usage_usec", &response->cpu_usage_usec},
        {"user_usec", &response->cpu_user_usec},
        {"system_usec", &response->cpu_system_usec},
        {"nr_periods", &response->cpu_periods},
        {"nr_throttled", &response->cpu_throttled_periods},
        {"throttled_usec", &response->cpu_throttled_usec},
    };
    char text[FILE_SIZE];
    if (!read_stat(directory, "cpu.stat", text)) {
        return;
    }
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *key = strsep(&line, " ");
        for (size_t i = 0; line != NULL && i < sizeof wanted / sizeof *wanted; i++) {
            if (strcmp(key, wanted[i].name) == 0) {
                *wanted[i].value = strtoull(line, NULL, 10);
            }
        }
    }
}

// "key value" lines as entries of a map. The two map types of the response are one in C but for
// their names.
static size_t read_map(const char *directory, const char *name, stat_entry ***entries) {
    char text[FILE_SIZE];
    *entries = read_stat(directory, name, text) ? calloc(ENTRIES_MAX, sizeof **entries) : NULL;
    if (*entries == NULL) {
        return 0;
    }
    size_t count = 0;
    char *rest = text;
    for (char *line; count < ENTRIES_MAX && (line = strsep(&rest, "\n")) != NULL;) {
        char *key = strsep(&line, " ");
        stat_entry *entry = line != NULL ? malloc(sizeof *entry) : NULL;
        if (entry != NULL) {
            rund__agent__v1__stats_response__memory_stat_entry__init(entry);
            entry->key = strdup(key);
            entry->value = strtoull(line, NULL, 10);
            (*entries)[count++] = entry;
        }
    }
    return count;
}

// "MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N dbytes=N dios=N"
static Rund__Agent__V1__IoStat *io_line(char *line) {
    Rund__Agent__V1__IoStat *io = malloc(sizeof *io);
    if (io == NULL) {
        return NULL;
    }
    rund__agent__v1__io_stat__init(io);
    if (sscanf(line, "%" SCNu64 ":%" SCNu64, &io->major, &io->minor) != 2) {
        free(io);
        return NULL;
    }
    for (char *field; (field = strsep(&line, " ")) != NULL;) {
        sscanf(field, "rbytes=%" SCNu64, &io->read_bytes);
        sscanf(field, "wbytes=%" SCNu64, &io->written_bytes);
        sscanf(field, "rios=%" SCNu64, &io->reads);
        sscanf(field, "wios=%" SCNu64, &io->writes);
    }
    return io;
}

static void io_stat(const char *directory, Rund__Agent__V1__StatsResponse *response) {
    char text[FILE_SIZE];
    if (!read_stat(directory, "io.stat", text)) {
        return;
    }
    response->io = calloc(ENTRIES_MAX, sizeof *response->io);
    char *rest = text;
    char *line;
    while (response->io != NULL && response->n_io < ENTRIES_MAX &&
           (line = strsep(&rest, "\n")) != NULL) {
        Rund__Agent__V1__IoStat *io = io_line(line);
        if (io != NULL) {
            response->io[response->n_io++] = io;
        }
    }
}

void cgroup_stats(const char *directory, Rund__Agent__V1__StatsResponse *response) {
    cpu_stat(directory, response);
    response->memory_usage_bytes = read_number(directory, "memory.current");
    response->memory_limit_bytes = read_number(directory, "memory.max");
    response->memory_peak_bytes = read_number(directory, "memory.peak");
    response->swap_peak_bytes = read_number(directory, "memory.swap.peak");
    response->swap_usage_bytes = read_number(directory, "memory.swap.current");
    response->swap_limit_bytes = read_number(directory, "memory.swap.max");
    response->n_memory_stat = read_map(directory, "memory.stat", &response->memory_stat);
    static_assert(sizeof(stat_entry) == sizeof(event_entry), "maps of one kind");
    stat_entry **events;
    response->n_memory_events = read_map(directory, "memory.events", &events);
    response->memory_events = (event_entry **)events;
    for (size_t i = 0; i < response->n_memory_events; i++) {
        response->memory_events[i]->base.descriptor =
            &rund__agent__v1__stats_response__memory_events_entry__descriptor;
    }
    response->pids_current = read_number(directory, "pids.current");
    response->pids_limit = read_number(directory, "pids.max");
    io_stat(directory, response);
}

void cgroup_stats_free(Rund__Agent__V1__StatsResponse *response) {
    for (size_t i = 0; i < response->n_memory_stat; i++) {
        free(response->memory_stat[i]->key);
        free(response->memory_stat[i]);
    }
    for (size_t i = 0; i < response->n_memory_events; i++) {
        free(response->memory_events[i]->key);
        free(response->memory_events[i]);
    }
    for (size_t i = 0; i < response->n_io; i++) {
        free(response->io[i]);
    }
    free(response->memory_stat);
    free(response->memory_events);
    free(response->io);
}
