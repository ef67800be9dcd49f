/* The same calls in C, with the explicit move that Linux's wrappers use. Compiled by the test where a C compiler is. */
#include <stdbool.h>
#include <stdint.h>

/* RAX before the call: nothing that reads as an answer, for an ACRN that does not write it (3.3, where the result is -13 or -19). */
#define UNWRITTEN INT64_MIN

static inline __attribute__((always_inline)) long two(uint32_t number, uint64_t first, uint64_t second)
{
    long rax = UNWRITTEN;
    __asm__ volatile("movl %[n], %%r8d\n\tvmcall"
                     : "+a"(rax)
                     : [n] "i"(number), "D"(first), "S"(second)
                     : "r8", "memory");
    return rax;
}

static inline __attribute__((always_inline)) long one(uint32_t number, uint64_t first)
{
    long rax = UNWRITTEN;
    __asm__ volatile("movl %[n], %%r8d\n\tvmcall" : "+a"(rax) : [n] "i"(number), "D"(first) : "r8", "memory");
    return rax;
}

bool c_no_argument(void)
{
    long rax = UNWRITTEN;
    __asm__ volatile("movl %[n], %%r8d\n\tvmcall" : "+a"(rax) : [n] "i"(0x80000072u) : "r8", "memory");
    return rax == 0;
}

bool c_one_value(uint16_t vm)
{
    return one(0x80000012u, vm) == 0;
}

bool c_two_values(uint16_t vm, uint16_t vcpu)
{
    return two(0x80000031u, vm, vcpu) == 0;
}

struct msi {
    uint64_t address, data;
};

bool c_value_and_struct(uint16_t vm, const struct msi *msi)
{
    return two(0x80000023u, vm, (uint64_t)msi) == 0;
}

struct creation {
    uint16_t vmid;
    uint8_t rest[46];
};

uint16_t c_struct_in_and_out(struct creation *creation)
{
    creation->vmid = 0xffff; /* no result yet: an old one is no answer */
    return one(0x80000010u, (uint64_t)creation) == 0 ? creation->vmid : 0xffff;
}
