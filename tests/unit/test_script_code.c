/* SPDX-License-Identifier: MIT */
/* Groups of norms in the code of TorchScript archives. */
#include "formats/weights/script_code.h"
#include "testing.h"

#include <string.h>

static const struct {
    const char *text;
    uint64_t calls;
    int64_t groups;
} cases[] = {
    {"", 0, 0},
    {"_0 = torch.group_norm(input, 32, weight, bias, 9.99e-07)", 1, 32},
    {"torch.group_norm(torch.reshape(x, [1, -1], \"a)\\\",\"), 1, w, b)", 1, 1},
    {"torch.group_norm(x, 32, w) torch.group_norm(y, 32)", 2, 32},
    {"torch.group_norm(x, 32, w) torch.group_norm(y, 1, w)", 2, 0},
    {"torch.group_norm(x, 8, w) torch.group_norm(y, 1, w) torch.group_norm(y, 1, w)", 3, 0},
    {"torch.group_norm(x, n, w)", 0, 0},
    {"torch.my_group_norm(x, 4, w) group_norms(x, 4)", 0, 0},
    {"torch.group_norm(x)", 0, 0},
    {"torch.group_norm((x, 32", 0, 0},
    {"torch.group_norm(x, 32", 0, 0},
    {"torch.group_norm(x, 99999999999999999999, w)", 0, 0},
    {"torch.group_norm('x, 32, w)", 0, 0},
};

START_TEST(finds_groups) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tsr_script_facts facts = {0};
        tsr_script_read(cases[i].text, strlen(cases[i].text), &facts);
        ck_assert_msg(facts.norms == cases[i].calls && facts.groups == cases[i].groups,
                      "%s: %llu calls, groups %lld", cases[i].text, (unsigned long long)facts.norms,
                      (long long)facts.groups);
    }
}
END_TEST

START_TEST(finds_pools) {
    static const char text[] = "torch.avg_pool3d(x, [1, 2, 2], [1, 2, 2], [0, 0, 0], False, True)\n"
                               "torch.avg_pool3d(torch.pad(x, [0, 1]), [2,1,1], [2,1,1])\n"
                               "torch.avg_pool3d(x, [1, 2, 2 ])torch.avg_pool3d(x, [1, 2, 2, 2])\n"
                               "torch.avg_pool3d(x, [2, 2, 2])torch.avg_pool3d(x, [1, 2, 2";
    tsr_script_facts facts = {0};
    tsr_script_read(text, sizeof text - 1, &facts);
    ck_assert_uint_eq(facts.space_pools, 2);
    ck_assert_uint_eq(facts.time_pools, 1);
}
END_TEST

TEST_MAIN("code of scripts", finds_groups, finds_pools)
