// What PID 1 sets up before anything else.
#pragma once

void boot(void);
