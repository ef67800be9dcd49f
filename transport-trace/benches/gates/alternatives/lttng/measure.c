/* Measures one tracepoint of LTTng-UST, and the floor in the same process. For each line on the standard input: the floor, a
 * call that is not traced, a call that is, in ns of this thread's time on a processor, and whether the tracepoint is on. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "call.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

enum { CALLS = 20000, NUMBER = 0x20 };

static double cpu(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

/* What the compiler may not look into. */
#define OPAQUE(value) __asm__ volatile("" : "+r"(value) : : "memory")

static uint8_t ring[1 << 16];

/* One reading of the time-stamp counter and a copy of 128 bytes into a warm ring, as everywhere in this bench. */
static double floor_ns(void)
{
	static const uint8_t source[128] = { 7 };
	size_t at = 0;
	double start = cpu();
	for (int count = 0; count < CALLS; count++) {
		const uint8_t *from = source;
		uint64_t now = __rdtsc();
		OPAQUE(now);
		OPAQUE(from);
		memcpy(ring + at, from, 128);
		at = (at + 128) & 0xffff;
	}
	return (cpu() - start) / CALLS;
}

__attribute__((noinline)) static int64_t call(uint64_t number, uint64_t rdi, const uint8_t *rsi)
{
	int64_t rax = 0;
	OPAQUE(number);
	OPAQUE(rdi);
	OPAQUE(rsi);
	OPAQUE(rax);
	return rax;
}

static double bare_ns(const uint8_t *bytes)
{
	double start = cpu();
	for (uint64_t count = 0; count < CALLS; count++) {
		int64_t rax = call(NUMBER, count, bytes);
		OPAQUE(rax);
	}
	return (cpu() - start) / CALLS;
}

static double traced_ns(const uint8_t *bytes)
{
	double start = cpu();
	for (uint64_t count = 0; count < CALLS; count++) {
		uint64_t enter = __rdtsc();
		int64_t rax = call(NUMBER, count, bytes);
		lttng_ust_tracepoint(hypercall, call, enter, NUMBER, count, (uintptr_t)bytes, rax, bytes);
	}
	return (cpu() - start) / CALLS;
}

int main(void)
{
	static const uint64_t payload[8] = { 2, 0x100007000, 0x1000, 3 };
	const uint8_t *bytes = (const uint8_t *)payload;
	char line[16];
	while (fgets(line, sizeof line, stdin)) {
		double floor = floor_ns(), bare = bare_ns(bytes), traced = traced_ns(bytes);
		printf("%f %f %f %d\n", floor, bare, traced, !!lttng_ust_tracepoint_enabled(hypercall, call));
		fflush(stdout);
	}
	return 0;
}
