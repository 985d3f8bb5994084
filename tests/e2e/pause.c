/* The first container of each pod: it holds the pod's namespaces, and ends when it is told to. */
#include <signal.h>
#include <unistd.h>

static void end(int signal) { (void)signal; _exit(0); }

int main(void) {
    signal(SIGTERM, end);
    signal(SIGINT, end);
    /* Where the pod shares its processes, it is the parent of all that are left over. */
    signal(SIGCHLD, SIG_IGN);
    for (;;) pause();
}
