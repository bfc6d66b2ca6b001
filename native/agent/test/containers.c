#define _GNU_SOURCE
#include "containers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"
#include "files.h"

static char rootfs[64];

static void copy_program(const char *program) {
    char target[96];
    static char bytes[4 << 20];
    int length = file_read(program, bytes, sizeof bytes);
    snprintf(target, sizeof target, "%s/program", rootfs);
    if (length < 0 || !file_create(target, bytes, (size_t)length)) {
        perror(program);
        exit(1);
    }
    chmod(target, 0755);
    snprintf(target, sizeof target, "%s/data", rootfs);
    file_create(target, "no program\n", 11);
    chmod(target, 0644);
}

void rootfs_make(const char *program) {
    strcpy(rootfs, "/tmp/rund-agent-rootfs.XXXXXX");
    if (mkdtemp(rootfs) == NULL) {
        perror(rootfs);
        exit(1);
    }
    chmod(rootfs, 0755);
    copy_program(program);
}

const char *rootfs_directory(void) {
    return rootfs;
}

void rootfs_remove(void) {
    static const char *const names[] = {"program", "data", "proc", "dev", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", rootfs, names[i]);
        remove(path);
    }
}

char *process_json(const char *mode, const char *argument, bool terminal, int user) {
    char *json;
    if (asprintf(&json,
                 "{\"terminal\":%s,\"user\":{\"uid\":%d,\"gid\":%d},\"cwd\":\"/\","
                 "\"env\":[\"PATH=/\"],\"args\":[\"%s\",\"%s\",\"%s\"]}",
                 terminal ? "true" : "false", user, user, mode[0] == '/' ? mode + 1 : "/program",
                 mode, argument) < 0) {
        exit(1);
    }
    return json;
}

static char *make_spec(const char *process, const char *resources) {
    char *json;
    if (asprintf(&json,
                 "{\"ociVersion\":\"1.0.2\",\"process\":%s,"
                 "\"root\":{\"path\":\"%s\"},\"mounts\":["
                 "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
                 "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
                 "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
                 "\"options\":[\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]}],"
                 "\"linux\":{\"cgroupsPath\":\"/rund-test\",%s\"namespaces\":[{\"type\":\"pid\"},"
                 "{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}]}}",
                 process, rootfs, resources) < 0) {
        exit(1);
    }
    return json;
}

char *spec_json(const char *mode, const char *argument, bool terminal, int user) {
    char *process = process_json(mode, argument, terminal, user);
    char *json = make_spec(process, "");
    free(process);
    return json;
}

char *limited_spec_json(const char *mode, const char *argument, const char *resources) {
    char *process = process_json(mode, argument, false, 0);
    char *member;
    if (asprintf(&member, "\"resources\":%s,", resources) < 0) {
        exit(1);
    }
    char *json = make_spec(process, member);
    free(member);
    free(process);
    return json;
}

static char *replace(char *text, const char *from, const char *to) {
    char *at = strstr(text, from);
    char *result;
    if (at == NULL ||
        asprintf(&result, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) < 0) {
        exit(1);
    }
    free(text);
    return result;
}

char *pod_spec_json(const char *mode, const char *argument, int pid) {
    char pid_namespace[96];
    snprintf(pid_namespace, sizeof pid_namespace, "{\"type\":\"pid\",\"path\":\"/proc/%d/ns/pid\"}",
             pid);
    char *json = spec_json(mode, argument, false, 0);
    json = replace(json, "{\"type\":\"pid\"}", pid_namespace);
    json = replace(json, ",{\"type\":\"ipc\"},{\"type\":\"uts\"}", "");
    // Two containers at once, so each has a cgroup of its own: that of its id.
    json = replace(json, "\"cgroupsPath\":\"/rund-test\",", "");
    return replace(
        json, "}],\"linux\"",
        "},{\"destination\":\"/dev/shm\",\"type\":\"bind\",\"source\":\"/run/rund/.shm/pod\","
        "\"options\":[\"rbind\"]}],\"linux\"");
}

char *hooked_spec_json(const char *mode, const char *argument) {
    char *plain = spec_json(mode, argument, false, 0);
    char *json;
    if (asprintf(&json, "{\"hooks\":{},%s", plain + 1) < 0) {
        exit(1);
    }
    free(plain);
    return json;
}

static void fill_stdio(Rund__Agent__V1__Stdio *stdio, struct ports ports) {
    rund__agent__v1__stdio__init(stdio);
    stdio->terminal = ports.terminal;
    stdio->stdin_port = ports.in;
    stdio->stdout_port = ports.out;
    stdio->stderr_port = ports.err;
}

static struct answer create_with(const char *id, const char *spec,
                                 Rund__Agent__V1__BlockRootfs *disk, const char *share,
                                 Rund__Agent__V1__SharedMemory *shared_memory, struct ports ports) {
    Rund__Agent__V1__CreateContainerRequest request =
        RUND__AGENT__V1__CREATE_CONTAINER_REQUEST__INIT;
    Rund__Agent__V1__Stdio stdio;
    fill_stdio(&stdio, ports);
    request.container_id = (char *)id;
    request.spec_json.data = (uint8_t *)spec;
    request.spec_json.len = strlen(spec);
    request.rootfs = disk;
    request.rootfs_share = (char *)share;
    request.shares = (char **)&share;
    request.n_shares = share[0] != '\0';
    request.stdio = &stdio;
    request.shared_memories = &shared_memory;
    request.n_shared_memories = shared_memory != NULL;
    return call("CreateContainer", &request.base, NULL);
}

struct answer create_answer(const char *id, const char *spec, struct ports ports) {
    return create_with(id, spec, NULL, "", NULL, ports);
}

struct answer create_on_disk(const char *id, const char *spec, unsigned slot, const char *fstype,
                             struct ports ports) {
    Rund__Agent__V1__BlockRootfs disk = RUND__AGENT__V1__BLOCK_ROOTFS__INIT;
    char *options[] = {"noatime"};
    disk.slot = slot;
    disk.fstype = (char *)fstype;
    disk.options = options;
    disk.n_options = 1;
    return create_with(id, spec, &disk, "", NULL, ports);
}

struct answer create_on_share(const char *id, const char *spec, const char *share,
                              struct ports ports) {
    return create_with(id, spec, NULL, share, NULL, ports);
}

int create(const char *id, const char *spec, struct ports ports) {
    return create_answer(id, spec, ports).code;
}

int create_in_pod(const char *id, const char *spec, const char *memory) {
    Rund__Agent__V1__SharedMemory shared = RUND__AGENT__V1__SHARED_MEMORY__INIT;
    shared.name = (char *)memory;
    shared.bytes = 1 << 20;
    struct answer answer = create_with(id, spec, NULL, "", &shared, (struct ports){0});
    if (answer.code != 0) {
        printf("    %s\n", answer.message);
    }
    return answer.code;
}

int update(const char *id, const char *resources) {
    Rund__Agent__V1__UpdateRequest request = RUND__AGENT__V1__UPDATE_REQUEST__INIT;
    request.container_id = (char *)id;
    request.resources_json.data = (uint8_t *)resources;
    request.resources_json.len = strlen(resources);
    struct answer answer = call("Update", &request.base, NULL);
    if (answer.code == STATUS_INTERNAL) {
        printf("    %s\n", answer.message);
    }
    return answer.code;
}

int set_sysctl(const char *name, const char *value) {
    Rund__Agent__V1__SetSysctlsRequest request = RUND__AGENT__V1__SET_SYSCTLS_REQUEST__INIT;
    Rund__Agent__V1__Sysctl sysctl = RUND__AGENT__V1__SYSCTL__INIT;
    Rund__Agent__V1__Sysctl *sysctls[] = {&sysctl};
    sysctl.name = (char *)name;
    sysctl.value = (char *)value;
    request.sysctls = sysctls;
    request.n_sysctls = 1;
    return call_code("SetSysctls", &request.base);
}

uint32_t begin_wait_oom(const char *id) {
    Rund__Agent__V1__WaitOomRequest request = RUND__AGENT__V1__WAIT_OOM_REQUEST__INIT;
    request.container_id = (char *)id;
    return begin("WaitOom", &request.base);
}

int create_exec(const char *id, const char *exec_id, const char *process, struct ports ports) {
    Rund__Agent__V1__CreateExecRequest request = RUND__AGENT__V1__CREATE_EXEC_REQUEST__INIT;
    Rund__Agent__V1__Stdio stdio;
    fill_stdio(&stdio, ports);
    request.container_id = (char *)id;
    request.exec_id = (char *)exec_id;
    request.process_json.data = (uint8_t *)process;
    request.process_json.len = strlen(process);
    request.stdio = &stdio;
    return call_code("CreateExec", &request.base);
}

int adopt(const char *id, struct ports ports) {
    Rund__Agent__V1__AdoptRequest request = RUND__AGENT__V1__ADOPT_REQUEST__INIT;
    Rund__Agent__V1__Stdio stdio;
    fill_stdio(&stdio, ports);
    request.container_id = (char *)id;
    request.stdio = &stdio;
    return call_code("Adopt", &request.base);
}

uint32_t begin_ref(const char *method, const char *id, const char *exec_id) {
    Rund__Agent__V1__ProcessRef request = RUND__AGENT__V1__PROCESS_REF__INIT;
    request.container_id = (char *)id;
    request.exec_id = (char *)exec_id;
    return begin(method, &request.base);
}

int ref(const char *method, const char *id, const char *exec_id) {
    return await(begin_ref(method, id, exec_id), NULL).code;
}

int container_ref(const char *method, const char *id) {
    Rund__Agent__V1__ContainerRef request = RUND__AGENT__V1__CONTAINER_REF__INIT;
    request.container_id = (char *)id;
    return call_code(method, &request.base);
}

int send_signal(const char *id, const char *exec_id, unsigned number, bool all) {
    Rund__Agent__V1__SignalRequest request = RUND__AGENT__V1__SIGNAL_REQUEST__INIT;
    request.container_id = (char *)id;
    request.exec_id = (char *)exec_id;
    request.signal = number;
    request.all = all;
    return call_code("Signal", &request.base);
}

int await_exit(uint32_t stream) {
    struct answer answer = await(stream, &rund__agent__v1__wait_response__descriptor);
    if (answer.response == NULL) {
        return -1;
    }
    int status = (int)((Rund__Agent__V1__WaitResponse *)answer.response)->exit_status;
    protobuf_c_message_free_unpacked(answer.response, NULL);
    return status;
}

int wait_exit(const char *id, const char *exec_id) {
    return await_exit(begin_ref("Wait", id, exec_id));
}

void start_sleeper(const char *id) {
    char *spec = spec_json("sleep", "", false, 0);
    CHECK(create(id, spec, (struct ports){0}) == 0);
    CHECK(ref("Start", id, "") == 0);
    free(spec);
}

void end_sleeper(const char *id) {
    CHECK(send_signal(id, "", 9, false) == 0);
    CHECK(wait_exit(id, "") == 137);
    CHECK(ref("Delete", id, "") == 0);
}

int run_exec(const char *id, const char *exec_id, const char *process, struct ports ports) {
    int code = create_exec(id, exec_id, process, ports);
    if (code != 0) {
        return -code;
    }
    code = ref("Start", id, exec_id);
    int status = code != 0 ? -code : wait_exit(id, exec_id);
    ref("Delete", id, exec_id);
    return status;
}
