/* A recorded call as an event of LTTng-UST: what the other recorders of this bench keep of one. The time at its end is the
 * tracer's own. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER hypercall

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./call.h"

#if !defined(HYPERCALL_CALL_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define HYPERCALL_CALL_H

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(
	hypercall, call,
	LTTNG_UST_TP_ARGS(
		uint64_t, enter,
		uint64_t, number,
		uint64_t, rdi,
		uint64_t, rsi,
		int64_t, rax,
		const uint8_t *, bytes
	),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(uint64_t, enter, enter)
		lttng_ust_field_integer_hex(uint64_t, number, number)
		lttng_ust_field_integer_hex(uint64_t, rdi, rdi)
		lttng_ust_field_integer_hex(uint64_t, rsi, rsi)
		lttng_ust_field_integer(int64_t, rax, rax)
		lttng_ust_field_array(uint8_t, bytes, bytes, 64)
	)
)

#endif

#include <lttng/tracepoint-event.h>
