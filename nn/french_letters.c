/* SPDX-License-Identifier: MIT */
/* french_letters.c: see french_letters.h. */
#include "french_letters.h"

const uint32_t tsr_french_letters[TSR_FRENCH_LETTERS] = {
    '0',  '1',   '2',  '3',  '4',  '5',  '6',  '7',  '8',  '9',  'a',  'b',  'c',    'd',
    'e',  'f',   'g',  'h',  'i',  'j',  'k',  'l',  'm',  'n',  'o',  'p',  'q',    'r',
    's',  't',   'u',  'v',  'w',  'x',  'y',  'z',  'A',  'B',  'C',  'D',  'E',    'F',
    'G',  'H',   'I',  'J',  'K',  'L',  'M',  'N',  'O',  'P',  'Q',  'R',  'S',    'T',
    'U',  'V',   'W',  'X',  'Y',  'Z',  '!',  '"',  '#',  '$',  '%',  '&',  '\'',   '(',
    ')',  '*',   '+',  ',',  '-',  '.',  '/',  ':',  ';',  '<',  '=',  '>',  '?',    '@',
    '[',  '\\',  ']',  '^',  '_',  '`',  '{',  '|',  '}',  '~',  0xB0, 0xA3, 0x20AC, 0xA5,
    0xA2, 0xE3F, 0xE0, 0xE2, 0xE9, 0xE8, 0xEA, 0xEB, 0xEE, 0xEF, 0xF4, 0xF9, 0xFB,   0xFC,
    0xE7, 0xC0,  0xC2, 0xC9, 0xC8, 0xCA, 0xCB, 0xCE, 0xCF, 0xD4, 0xD9, 0xDB, 0xDC,   0xC7};
