// SPDX-License-Identifier: MIT
// picks.glsl: the greatest of scores that one group of threads looks at together. With rows.glsl
// and THREADS = GROUP.

#define NEVER uintBitsToFloat(0xFF800000u) // -infinity: the score of what is picked already

// Best and second best that a thread has seen.
struct Standing {
    float best, second;
    uint place;
};

void see(inout Standing s, float score, uint place) {
    if (greater(score, s.best)) {
        s.second = s.best;
        s.best = score;
        s.place = place;
    } else if (greater(score, s.second))
        s.second = score;
}

// The group's best, of equal ones the lowest place, and in `second` the best of all others.
void settle(inout Standing s) {
    float own = s.best;
    uint place = s.place, ignored = 0;
    row_max(s.best, s.place);
    float second = place == s.place ? s.second : own;
    row_max(second, ignored);
    s.second = second;
}
