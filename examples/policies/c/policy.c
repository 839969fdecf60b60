/*
 * rising: each sale of the API within the last minute makes the next key a little dearer.
 *
 *     price = base x min(10 000 + step_bp x sales, max_bp) / 10 000
 *
 * README.md beside this file has the parameters, and how to build it.
 */
#include "bourse.h"

#define POLICY_NAME "rising"

enum { WHOLE_BP = 10000, WINDOW_MS = 60000, VALID_MS = 5000, MOST_BP = 1000000 };

static const bourse_description DESCRIPTION = {
    .name = TEXT(POLICY_NAME),
    .version = TEXT("1.0.0"),
    .summary = TEXT("The price rises with each sale of the last minute."),
    .params_schema = TEXT(
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"base\":{\"type\":\"string\",\"default\":\"10\",\"description\":\"Price without sales, in tokens\"},"
        "\"step_bp\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000,\"default\":100,"
        "\"description\":\"What each sale adds, in hundredths of a percent of the base\"},"
        "\"max_bp\":{\"type\":\"integer\",\"minimum\":10000,\"maximum\":1000000,\"default\":30000,"
        "\"description\":\"The most the price can be, in hundredths of a percent of the base\"}}}"),
};

BOURSE_DESCRIBE { return &DESCRIPTION; }

typedef struct {
    bourse_amount base;
    uint32_t step_bp, max_bp;
} settings;

/* Reads the parameters over the defaults; false if there is one that is unknown or makes no sense. */
static bool read_settings(bourse_string json, settings *out) {
    *out = (settings){.step_bp = 100, .max_bp = 30000};
    bourse_parse_tokens(TEXT("10"), &out->base);
    bourse_params params = {.rest = json};
    for (bourse_string name; bourse_next_param(&params, &name);) {
        if (bourse_equal(name, TEXT("base"))) {
            if (!bourse_parse_tokens(bourse_take_string(&params), &out->base)) return false;
        } else if (bourse_equal(name, TEXT("step_bp"))) {
            out->step_bp = bourse_take_number(&params);
        } else if (bourse_equal(name, TEXT("max_bp"))) {
            out->max_bp = bourse_take_number(&params);
        } else {
            return false;
        }
    }
    return !params.failed && out->step_bp <= MOST_BP && out->max_bp >= WHOLE_BP && out->max_bp <= MOST_BP;
}

static bourse_answer answer;

BOURSE_QUOTE_HOOK(request) {
    settings set;
    if (!read_settings(request->ctx.params, &set)) {
        answer.is_refusal = true;
        answer.refusal.code = TEXT("bad_params");
        answer.refusal.text =
            TEXT("expected base in tokens and quotes, step_bp of 0 to 1000000, max_bp of 10000 to 1000000, no others");
        return &answer;
    }
    /* A price that starts below the floor would hide its first steps under it, so the base is bounded too. */
    bourse_amount base = bourse_bound(request->base.is_some ? request->base.value : set.base, request);
    uint64_t sales = bourse_demand_of_api(request->offer.api, WINDOW_MS).sales;
    uint64_t most = MOST_BP; /* sales beyond it change nothing, and so nothing below can overflow */
    uint64_t factor = WHOLE_BP + (sales < most ? sales : most) * set.step_bp;
    if (factor > set.max_bp) factor = set.max_bp;

    answer.is_refusal = false;
    answer.price.amount = bourse_bound(bourse_mul_div(base, (uint32_t)factor, WHOLE_BP), request);
    answer.price.valid_ms = VALID_MS < request->max_valid_ms ? VALID_MS : request->max_valid_ms;
    return &answer;
}
