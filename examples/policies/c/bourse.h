/*
 * bourse.h: what a pricing policy in C sees of bourse:policy@1.0.0.
 *
 * A record lies in memory as C lays out a struct of the same fields; a string is an address and a length, a list
 * likewise, an option a byte (0 or 1) before its value. So a request can be read where the host put it, and nothing
 * here copies or converts. The assertions below hold the layout to the one that the host writes.
 *
 * There is no C library, and no need of one: the few functions that a policy needs are at the end.
 */
#ifndef BOURSE_H
#define BOURSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-8, not terminated. */
typedef struct {
    const char *at;
    size_t len;
} bourse_string;

/* Of text in quotes. */
#define TEXT(literal) ((bourse_string){(literal), sizeof(literal) - 1})

/* 10^-18 of a token each. 32-bit limbs, the least significant first, so that products fit into 64 bits. */
typedef struct {
    _Alignas(8) uint32_t limb[8];
} bourse_amount;

typedef struct {
    uint64_t hi, lo;
} bourse_id;

typedef struct {
    uint64_t a, b;
    uint32_t c;
} bourse_address;

#define BOURSE_OPTION(type) \
    struct {                \
        bool is_some;       \
        type value;         \
    }

typedef struct {
    bourse_string name, value;
} bourse_label;

typedef struct {
    bourse_id key, api;
    BOURSE_OPTION(bourse_id) catalog;
    bourse_string uri;
    bourse_address seller;
    BOURSE_OPTION(bourse_string) provider;
    uint64_t placed_at, valid_from; /* nanoseconds since 1970 */
    BOURSE_OPTION(uint64_t) expires;
    BOURSE_OPTION(bourse_amount) price;
    BOURSE_OPTION(uint32_t) copies;
    BOURSE_OPTION(uint32_t) remaining;
    const bourse_label *categories;
    size_t category_count;
} bourse_offer;

enum { BOURSE_PLACE, BOURSE_QUERY, BOURSE_QUOTE, BOURSE_BUY };

typedef struct {
    uint64_t now; /* nanoseconds since 1970 */
    bourse_id market;
    uint8_t action;
    BOURSE_OPTION(bourse_address) buyer;
    bourse_string params; /* a JSON object */
} bourse_context;

typedef struct {
    bourse_context ctx;
    bourse_offer offer;
    BOURSE_OPTION(bourse_amount) base;
    bourse_amount floor, cap;
    uint32_t max_valid_ms;
} bourse_request;

typedef struct {
    bourse_amount amount;
    uint32_t valid_ms;
} bourse_price;

typedef struct {
    bourse_string code; /* 1 to 32 of a-z, 0-9 and _ */
    bourse_string text; /* one sentence */
} bourse_refusal;

typedef struct {
    bool is_refusal;
    union {
        bourse_price price;
        bourse_refusal refusal;
    };
} bourse_answer;

typedef struct {
    bourse_string name, version, summary, params_schema;
} bourse_description;

typedef struct {
    uint64_t sales;
    bourse_amount volume;
    uint64_t quotes;
    BOURSE_OPTION(bourse_amount) last_price;
    BOURSE_OPTION(uint64_t) last_at;
} bourse_figures;

_Static_assert(sizeof(bourse_offer) == 200, "an offer has 200 bytes");
_Static_assert(offsetof(bourse_offer, provider) == 88 && offsetof(bourse_offer, price) == 136, "fields of an offer");
_Static_assert(sizeof(bourse_context) == 72 && offsetof(bourse_context, params) == 64, "fields of a context");
_Static_assert(sizeof(bourse_request) == 384 && offsetof(bourse_request, floor) == 312, "fields of a request");
_Static_assert(sizeof(bourse_answer) == 48 && offsetof(bourse_answer, refusal) == 8, "fields of an answer");
_Static_assert(sizeof(bourse_figures) == 104 && offsetof(bourse_figures, last_at) == 88, "fields of figures");

/* The functions that the host calls. Each answers with the address of a value that outlives it: make it static. */
#define BOURSE_DESCRIBE \
    __attribute__((export_name("bourse:policy/describe@1.0.0#describe"))) const bourse_description *describe(void)
#define BOURSE_QUOTE_HOOK(request)                                                                   \
    __attribute__((export_name("bourse:policy/pricing@1.0.0#quote"))) const bourse_answer *bourse_quote( \
        const bourse_request *request)

/* The import `market`, which the policy's rule must grant. A policy that does not call it does not import it. */
enum { BOURSE_KEY, BOURSE_API, BOURSE_SELLER, BOURSE_BUYER };
__attribute__((import_module("bourse:policy/market@1.0.0"), import_name("demand"))) void bourse_demand_of(
    uint32_t whose, uint64_t first, uint64_t second, uint32_t third, uint32_t window_ms, bourse_figures *figures);

/* What was sold of an API over the last window_ms milliseconds, a day at most. */
static inline bourse_figures bourse_demand_of_api(bourse_id api, uint32_t window_ms) {
    bourse_figures figures;
    bourse_demand_of(BOURSE_API, api.hi, api.lo, 0, window_ms, &figures);
    return figures;
}

/* Where the host puts a request's strings: behind the statics, from front to back. An instance serves one call, or,
 * where the operator keeps instances warm, one call at a time: the next one starts at the front again. */
extern char __heap_base;
static uintptr_t bourse_heap;

__attribute__((export_name("cabi_realloc"))) void *bourse_realloc(void *old, size_t had, size_t align, size_t size) {
    (void)old, (void)had; /* the host asks for new blocks only */
    if (bourse_heap == 0) bourse_heap = (uintptr_t)&__heap_base;
    uintptr_t at = (bourse_heap + align - 1) & ~(uintptr_t)(align - 1);
    while (at + size > (uintptr_t)__builtin_wasm_memory_size(0) << 16)
        if (__builtin_wasm_memory_grow(0, 1) == (size_t)-1) __builtin_trap();
    bourse_heap = at + size;
    return (void *)at;
}

__attribute__((export_name("cabi_post_bourse:policy/pricing@1.0.0#quote"))) void bourse_done(
    const bourse_answer *answer) {
    (void)answer;
    bourse_heap = 0;
}

/* amount x factor / divisor, rounded down; 2^256 - 1 where that does not fit. */
static inline bourse_amount bourse_mul_div(bourse_amount amount, uint32_t factor, uint32_t divisor) {
    uint64_t over = 0;
    for (int i = 0; i < 8; i++) {
        over += (uint64_t)amount.limb[i] * factor;
        amount.limb[i] = (uint32_t)over;
        over >>= 32;
    }
    if (over >= divisor) return (bourse_amount){{-1u, -1u, -1u, -1u, -1u, -1u, -1u, -1u}};
    for (int i = 7; i >= 0; i--) {
        over = over << 32 | amount.limb[i];
        amount.limb[i] = (uint32_t)(over / divisor);
        over %= divisor;
    }
    return amount;
}

/* Below 0, 0 or above 0, as a is less than, equal to or more than b. */
static inline int bourse_compare(const bourse_amount *a, const bourse_amount *b) {
    for (int i = 7; i >= 0; i--)
        if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

/* Moved between the request's floor and cap. The host does it again, whatever a policy answers. */
static inline bourse_amount bourse_bound(bourse_amount amount, const bourse_request *request) {
    if (bourse_compare(&amount, &request->floor) < 0) return request->floor;
    if (bourse_compare(&amount, &request->cap) > 0) return request->cap;
    return amount;
}

static inline bool bourse_equal(bourse_string a, bourse_string b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (a.at[i] != b.at[i]) return false;
    return true;
}

/* Appends a decimal digit; false if it does not fit. */
static inline bool bourse_append_digit(bourse_amount *amount, uint32_t digit) {
    uint64_t carry = digit;
    for (int i = 0; i < 8; i++) {
        carry += (uint64_t)amount->limb[i] * 10;
        amount->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry == 0;
}

/* Reads tokens, such as 35 or 0.5, with at most 18 digits after the point. */
static inline bool bourse_parse_tokens(bourse_string text, bourse_amount *amount) {
    *amount = (bourse_amount){{0}};
    size_t digits = 0, point = text.len;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '.' && point == text.len && i > 0) {
            point = i;
            continue;
        }
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        if (!bourse_append_digit(amount, (uint32_t)(text.at[i] - '0'))) return false;
        digits++;
    }
    size_t decimals = point == text.len ? 0 : text.len - point - 1;
    if (digits == 0 || decimals > 18 || (point < text.len && decimals == 0)) return false;
    for (; decimals < 18; decimals++)
        if (!bourse_append_digit(amount, 0)) return false;
    return true;
}

/* Goes through a JSON object of strings and whole numbers, which is what flat parameters are. */
typedef struct {
    bourse_string rest;
    bool failed;
    int seen;
} bourse_params;

static inline char bourse_peek(bourse_params *params) {
    while (params->rest.len > 0 && (*params->rest.at == ' ' || *params->rest.at == '\t' || *params->rest.at == '\n' ||
                                    *params->rest.at == '\r'))
        params->rest.at++, params->rest.len--;
    return params->rest.len > 0 ? *params->rest.at : 0;
}

static inline bool bourse_take(bourse_params *params, char wanted) {
    if (bourse_peek(params) != wanted) return false;
    params->rest.at++, params->rest.len--;
    return true;
}

/* A string without escapes; else the walk has failed. */
static inline bourse_string bourse_take_string(bourse_params *params) {
    bourse_string text = {params->rest.at, 0};
    params->failed = params->failed || !bourse_take(params, '"');
    text.at = params->rest.at;
    while (text.len < params->rest.len && text.at[text.len] != '"' && text.at[text.len] != '\\') text.len++;
    params->rest.at += text.len, params->rest.len -= text.len;
    params->failed = params->failed || !bourse_take(params, '"');
    return text;
}

/* A whole number of at most 9 digits; else the walk has failed. */
static inline uint32_t bourse_take_number(bourse_params *params) {
    uint32_t number = 0, digits = 0;
    bourse_peek(params);
    for (; params->rest.len > 0 && *params->rest.at >= '0' && *params->rest.at <= '9'; digits++) {
        number = number * 10 + (uint32_t)(*params->rest.at - '0');
        params->rest.at++, params->rest.len--;
        if (digits == 9) break;
    }
    params->failed = params->failed || digits == 0 || digits == 9;
    return number;
}

/* Whether there is a further parameter, whose name is then in *name; take its value before the next call. */
static inline bool bourse_next_param(bourse_params *params, bourse_string *name) {
    if (params->failed) return false;
    bool first = params->seen++ == 0;
    if (first && !bourse_take(params, '{')) params->failed = true;
    if (bourse_take(params, '}')) {
        params->failed = params->failed || bourse_peek(params) != 0;
        return false;
    }
    if (!first && !bourse_take(params, ',')) params->failed = true;
    *name = bourse_take_string(params);
    params->failed = params->failed || !bourse_take(params, ':');
    return !params->failed;
}

#endif
