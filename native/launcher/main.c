// containerd-shim-rund-v2: what containerd execs to reach the engine (README.md beside this file).
// The protocol is that of containerd's runtime v2 shims (runtime/v2/README.md and
// runtime/v2/shim/shim.go).
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bootstrap.h"
#include "engine.h"
#include "failure.h"
#include "ttrpc.h"

enum { DESTROY_SECONDS = 120, KILLED = 128 + 9 };

struct arguments {
    struct invocation invocation;
    const char *action;
    bool version;
    bool info;
};

static bool is_switch(const char *name) {
    return strcmp(name, "debug") == 0 || strcmp(name, "v") == 0 || strcmp(name, "info") == 0;
}

static void take_flag(struct arguments *arguments, const char *name, const char *value) {
    if (strcmp(name, "namespace") == 0) {
        arguments->invocation.namespace = value;
    } else if (strcmp(name, "id") == 0) {
        arguments->invocation.id = value;
    } else if (strcmp(name, "bundle") == 0) {
        arguments->invocation.bundle = value;
    } else if (strcmp(name, "address") == 0) {
        arguments->invocation.containerd_address = value;
    } else if (strcmp(name, "v") == 0) {
        arguments->version = true;
    } else if (strcmp(name, "info") == 0) {
        arguments->info = true;
    } else if (strcmp(name, "debug") != 0 && strcmp(name, "publish-binary") != 0 &&
               strcmp(name, "socket") != 0) {
        fail("unknown flag -%s", name);
    }
}

// As Go's flag package reads them: -name value, -name=value, with one dash or two; switches take no
// value.
static void parse(int argc, char **argv, struct arguments *arguments) {
    static char name[64];
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            arguments->action = argv[i];
            return;
        }
        const char *flag = argv[i] + (argv[i][1] == '-' ? 2 : 1);
        const char *equals = strchr(flag, '=');
        size_t length = equals != NULL ? (size_t)(equals - flag) : strlen(flag);
        snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), flag);
        if (equals != NULL || is_switch(name)) {
            take_flag(arguments, name, equals != NULL ? equals + 1 : "");
        } else if (i + 1 < argc) {
            take_flag(arguments, name, argv[++i]);
        } else {
            fail("flag -%s needs a value", name);
        }
    }
}

// The directory above bin/, wherever a symbolic link to this program lies.
static void find_install_root(char *root, size_t size) {
    ssize_t length = readlink("/proc/self/exe", root, size - 1);
    if (length < 0) {
        fail_errno("cannot read /proc/self/exe");
    }
    root[length] = '\0';
    for (int level = 0; level < 2; level++) {
        char *slash = strrchr(root, '/');
        if (slash == NULL) {
            fail("%s is not in the bin directory of an installation of rund", root);
        }
        *slash = '\0';
    }
}

static void write_out(const void *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length || fflush(stdout) != 0) {
        fail_errno("cannot write to stdout");
    }
}

// Writes the file from which a restarted containerd learns where its task is served.
static void write_address(const char *address) {
    FILE *file = fopen(".address", "we");
    if (file == NULL || fputs(address, file) == EOF || fclose(file) == EOF ||
        rename(".address", "address") < 0) {
        fail_errno("cannot write the file address in the bundle");
    }
}

static void start(const char *root, const struct config *config,
                  const struct invocation *invocation, bool json) {
    struct engine engine;
    char address[PATH_MAX + 96];
    char answer[PATH_MAX + 192];
    locate_engine(config, invocation, &engine);
    ensure_engine(root, config, invocation, &engine);
    snprintf(address, sizeof address, "unix://%s", engine.socket);
    write_address(address);
    snprintf(answer, sizeof answer,
             json ? "{\"version\":3,\"address\":\"%s\",\"protocol\":\"ttrpc\"}" : "%s", address);
    write_out(answer, strlen(answer));
}

// The engine that serves the task is the one its bundle names, whatever the configuration says by
// now.
static void find_engine_of_bundle(const struct config *config, const struct invocation *invocation,
                                  char *socket_path, size_t size) {
    static const char scheme[] = "unix://";
    char address[PATH_MAX + 96];
    if (address_of_bundle(address, sizeof address) &&
        strncmp(address, scheme, strlen(scheme)) == 0) {
        snprintf(socket_path, size, "%s", address + strlen(scheme));
        return;
    }
    struct engine engine;
    locate_engine(config, invocation, &engine);
    snprintf(socket_path, size, "%s", engine.socket);
}

// DeleteResponse of a container whose engine is gone, and with it the virtual machine, the anchor
// and everything else that was its own.
static void put_killed_now(struct message *response) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct message timestamp = {0};
    put_varint(&timestamp, 1, (uint64_t)now.tv_sec);
    put_varint(&timestamp, 2, (uint64_t)now.tv_nsec);
    put_varint(response, 2, KILLED);
    put_bytes(response, 3, timestamp.bytes, timestamp.length);
}

static void destroy(const struct config *config, const struct invocation *invocation) {
    static struct reply reply;
    char socket_path[PATH_MAX + 96];
    struct message request = {0};
    struct message dead = {0};
    struct bytes response = {NULL, 0};
    bool malformed = false;
    find_engine_of_bundle(config, invocation, socket_path, sizeof socket_path);
    put_string(&request, 1, invocation->namespace);
    put_string(&request, 2, invocation->id);
    put_string(&request, 3, invocation->bundle);
    call(socket_path, "rund.v1.Engine", "Destroy", &request, DESTROY_SECONDS, &reply);
    switch (reply.outcome) {
    case ANSWERED:
        find_bytes(reply.payload, 1, &response, &malformed);
        if (malformed) {
            fail("the engine at %s answers Destroy with a malformed message", socket_path);
        }
        break;
    case REFUSED:
        fail("the engine cannot destroy %s: %s", invocation->id, reply.text);
    case NOT_AN_ENGINE:
        fail("%s", reply.text);
    case NOT_SERVED:
    case HUNG_UP:
        put_killed_now(&dead);
        response = (struct bytes){dead.bytes, dead.length};
    }
    write_out(response.start, response.length);
}

// containerd.types.RuntimeInfo (api/types/introspection.proto of containerd 2): name = 1, version =
// 2 {version = 1}, features = 4, an Any {type_url = 1, value = 2} of the OCI specification's
// features structure. CRI learns from it that read-only mounts can be recursively so. User
// namespaces are not among the features: a sandbox needs none.
static void info(void) {
    static const char features_json[] =
        "{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.2.0\",\"mountOptions\":[\"bind\","
        "\"noatime\","
        "\"nodev\",\"noexec\",\"nosuid\",\"private\",\"rbind\",\"ro\",\"rprivate\",\"rro\","
        "\"rslave\","
        "\"rw\",\"slave\"],\"linux\":{\"namespaces\":[\"cgroup\",\"ipc\",\"mount\",\"network\","
        "\"pid\","
        "\"uts\"],\"cgroup\":{\"v1\":false,\"v2\":true},\"seccomp\":{\"enabled\":true}}}";
    struct message version = {0};
    struct message features = {0};
    struct message runtime = {0};
    put_string(&version, 1, RUND_VERSION);
    put_string(&features, 1, "types.containerd.io/opencontainers/runtime-spec/1/features/Features");
    put_string(&features, 2, features_json);
    put_string(&runtime, 1, "io.containerd.rund.v2");
    put_bytes(&runtime, 2, version.bytes, version.length);
    put_bytes(&runtime, 4, features.bytes, features.length);
    write_out(runtime.bytes, runtime.length);
}

static void enter_bundle(struct invocation *invocation) {
    static char here[PATH_MAX];
    if (invocation->bundle[0] != '\0' && chdir(invocation->bundle) < 0) {
        fail_errno("cannot enter the bundle %s", invocation->bundle);
    }
    if (invocation->bundle[0] == '\0') {
        if (getcwd(here, sizeof here) == NULL) {
            fail_errno("cannot tell the bundle's directory");
        }
        invocation->bundle = here;
    }
}

int main(int argc, char **argv) {
    const char *ttrpc = getenv("TTRPC_ADDRESS");
    struct arguments arguments = {.invocation = {"", "", "", "", ttrpc != NULL ? ttrpc : ""},
                                  .action = ""};
    struct invocation *invocation = &arguments.invocation;
    parse(argc, argv, &arguments);
    if (arguments.version) {
        printf("%s:\n  Version:  %s\n", argv[0], RUND_VERSION);
        return 0;
    }
    if (arguments.info) {
        info();
        return 0;
    }
    bool starting = strcmp(arguments.action, "start") == 0;
    if (!starting && strcmp(arguments.action, "delete") != 0) {
        fail("action must be start or delete: containerd runs this program, for "
             "`ctr run --runtime io.containerd.rund.v2`");
    }
    bool json = starting && read_bootstrap(invocation);
    char events[PATH_MAX];
    if (invocation->containerd_ttrpc[0] == '\0' && invocation->containerd_address[0] != '\0') {
        // Where containerd has it; who else runs this program does not say.
        snprintf(events, sizeof events, "%s.ttrpc", invocation->containerd_address);
        invocation->containerd_ttrpc = events;
    }
    if (invocation->namespace[0] == '\0' || invocation->id[0] == '\0') {
        fail("-namespace and -id must be given");
    }
    char root[PATH_MAX];
    struct config config;
    find_install_root(root, sizeof root);
    read_config(root, &config);
    enter_bundle(invocation);
    if (starting) {
        start(root, &config, invocation, json);
    } else {
        destroy(&config, invocation);
    }
    return 0;
}
