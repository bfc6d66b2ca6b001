// The agent from the control connection on; what main does before differs between a VM and a test.
#pragma once

// Serves the engine. Does not return.
_Noreturn void agent_run(void);
