// The groups of tests; those but test_units need an agent.
#pragma once

void test_units(const char *samples);
void test_protocol(void);
void test_life_cycle(void);
void test_streams(void);
void test_adopt(void);
// On the build machine: with ip(8), and with the agent's network namespace.
void test_network(void);
void test_forward(void);
// In a virtual machine with an ext4 disk in slot 0 (the program is on it) and noise in slot 1.
void test_guest(void);
