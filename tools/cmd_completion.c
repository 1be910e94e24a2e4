/* SPDX-License-Identifier: MIT */
/* cmd_completion.c: completions for bash, zsh and fish, made of the verbs' tables. What an option
 * takes decides what is offered: choices, names of published models, files, or nothing. */
#include "tool.h"
#include "verbs.h"

#include <string.h>

typedef struct completion_options {
    common_options common;
} completion_options;

typedef enum offer { OFFER_FLAG, OFFER_WORDS, OFFER_MODELS, OFFER_FILES, OFFER_NOTHING } offer;

static offer offer_of(const option *o) {
    switch (o->kind) {
    case OPTION_FLAG:
    case OPTION_COUNT:
        return OFFER_FLAG;
    case OPTION_CHOICE:
        return OFFER_WORDS;
    case OPTION_MODEL:
        return OFFER_MODELS;
    case OPTION_TEXT:
        return o->choices ? OFFER_WORDS : OFFER_FILES;
    default:
        return OFFER_NOTHING;
    }
}

static offer offer_of_operands(const verb *v) {
    if (v->most_operands == 0) return OFFER_NOTHING;
    return v->operand_kind == OPTION_MODEL    ? OFFER_MODELS
           : v->operand_kind == OPTION_CHOICE ? OFFER_WORDS
                                              : OFFER_FILES;
}

/* "auto|crop" with another separator. */
static void print_choices(const char *choices, char separator) {
    for (; *choices; ++choices)
        putchar(*choices == '|' ? separator : *choices);
}

static void print_models(const tsr_catalog *catalog) {
    for (int i = 0; i < tsr_catalog_count(catalog); ++i) {
        tsr_catalog_model m;
        tsr_catalog_at(catalog, i, &m);
        printf("%s%s", i ? " " : "", m.name);
    }
}

/* The first clause of a help text for a place between single quotes, `quote` being what stands for
 * one there. Without what zsh's own syntax is made of. */
static void print_short(const char *text, const char *quote) {
    char line[80];
    size_t n = strcspn(text, ";(\n");
    const char *stop = strstr(text, ". ");
    if (stop && (size_t)(stop - text) < n) n = (size_t)(stop - text);
    if (n >= sizeof line) {
        n = sizeof line - 1;
        while (n && text[n] != ' ')
            --n;
    }
    while (n && strchr(" ,:", text[n - 1]))
        --n;
    snprintf(line, sizeof line, "%.*s", (int)n, text);
    for (const char *c = line; *c; ++c)
        if (*c == '\'')
            fputs(quote, stdout);
        else if (*c == ':')
            putchar(',');
        else if (!strchr("[]`\\", *c))
            putchar(*c);
}

/* The verbs that have parts, as words of a `case`: "codebook|model". */
static void print_verbs_with_parts(const char *separator) {
    const verb *v;
    const char *before = "";
    for (int i = 0; (v = verb_at(i)); ++i) {
        if (!v->parts) continue;
        printf("%s%s", before, v->name);
        before = separator;
    }
}

/* ---- bash ---- */

static void bash_kind(offer kind, const char *choices) {
    static const char *const names[] = {"", "words", "models", "files", "nothing"};
    printf("kind=%s", names[kind]);
    if (kind == OFFER_WORDS) {
        fputs(" values='", stdout);
        print_choices(choices, ' ');
        putchar('\'');
    }
    puts(" ;;");
}

static void bash_verb(const verb *v, void *user) {
    (void)user;
    const option *o;
    printf("    '%s')\n        options='", v->name);
    for (int i = 0; (o = args_option(v, i)); ++i) {
        printf("%s--%s", i ? " " : "", o->name);
        if (o->letter) printf(" -%c", o->letter);
    }
    puts("'\n        case $prev in");
    for (int i = 0; (o = args_option(v, i)); ++i) {
        if (offer_of(o) == OFFER_FLAG) continue;
        printf("        --%s", o->name);
        if (o->letter) printf(" | -%c", o->letter);
        fputs(") ", stdout);
        bash_kind(offer_of(o), o->choices);
    }
    fputs("        *) ", stdout);
    bash_kind(offer_of_operands(v), v->operand_choices);
    puts("        esac\n        ;;");
}

static void print_bash(const tsr_catalog *catalog) {
    const verb *v;
    fputs("# bash completion for tessera, made by `tessera completion bash`\n"
          "_tessera() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local verb=${COMP_WORDS[1]} options='' values='' kind=files models='",
          stdout);
    print_models(catalog);
    fputs("'\n    COMPREPLY=()\n"
          "    # \"--fit=crop\" arrives as three words.\n"
          "    if [[ $cur == '=' ]]; then\n"
          "        cur=\n"
          "    elif [[ $prev == '=' ]]; then\n"
          "        prev=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    fi\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    for (int i = 0; (v = verb_at(i)); ++i)
        printf("%s ", v->name);
    puts("help --help --version' -- \"$cur\"))\n        return\n    fi");
    puts("    case $verb in");
    for (int i = 0; (v = verb_at(i)); ++i) {
        if (!v->parts) continue;
        printf("    %s) values='", v->name);
        for (const verb *const *part = v->parts; *part; ++part)
            printf("%s ", args_part_name(*part));
        puts("--help' ;;");
    }
    fputs("    help) values='", stdout);
    for (int i = 0; (v = verb_at(i)); ++i)
        printf("%s ", v->name);
    puts("--man' ;;\n    esac");
    fputs("    if ((COMP_CWORD == 2)) && [[ $values ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    case $verb in ",
          stdout);
    print_verbs_with_parts(" | ");
    puts(") verb+=\" ${COMP_WORDS[2]}\" ;; esac\n    case $verb in");
    verb_each_leaf(bash_verb, NULL);
    puts("    esac\n"
         "    if [[ $cur == -?* || ( $cur == - && $kind == nothing ) ]]; then\n"
         "        kind=words values=$options\n"
         "    fi\n"
         "    case $kind in\n"
         "    words)\n"
         "        COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n"
         "        if [[ ${COMPREPLY-} == *= ]]; then compopt -o nospace 2>/dev/null; fi\n"
         "        ;;\n"
         "    models)\n"
         "        mapfile -t COMPREPLY < <(compgen -W \"$models\" -- \"$cur\"; compgen -f -- "
         "\"$cur\")\n"
         "        compopt -o filenames 2>/dev/null\n"
         "        ;;\n"
         "    nothing) compopt +o default +o bashdefault 2>/dev/null ;;\n"
         "    esac\n"
         "}\n"
         "complete -o bashdefault -o default -F _tessera tessera");
}

/* ---- zsh ---- */

static const char zsh_quote[] = "'\\''";

static void zsh_action(offer kind, const char *choices) {
    switch (kind) {
    case OFFER_WORDS:
        putchar('(');
        print_choices(choices, ' ');
        putchar(')');
        break;
    case OFFER_MODELS:
        fputs("_tessera_models", stdout);
        break;
    case OFFER_FILES:
        fputs("_files", stdout);
        break;
    default:
        putchar(' ');
        break;
    }
}

static void zsh_option(const option *o) {
    const offer kind = offer_of(o);
    const char *value = kind == OFFER_FLAG ? "" : "=";
    const char *many = o->kind == OPTION_COUNT ? "*" : "";
    if (o->letter && !*many)
        printf("            '(-%c --%s)'{-%c%s,--%s%s}'[", o->letter, o->name, o->letter,
               *value ? "+" : "", o->name, value);
    else if (o->letter)
        printf("            '*'{-%c,--%s}'[", o->letter, o->name);
    else
        printf("            '%s--%s%s[", many, o->name, value);
    print_short(o->help, zsh_quote);
    putchar(']');
    if (*value) {
        printf(":%s:", o->value);
        zsh_action(kind, o->choices);
    }
    puts("' \\");
}

static void zsh_verb(const verb *v, void *user) {
    (void)user;
    const option *o;
    printf("    '%s')\n        _arguments -s -S \\\n", v->name);
    for (int i = 0; (o = args_option(v, i)); ++i)
        zsh_option(o);
    if (v->most_operands == 0)
        fputs("            && return 0", stdout);
    else {
        printf("            '%s:%s:", v->most_operands == 1 ? "1" : "*", v->operands);
        zsh_action(offer_of_operands(v), v->operand_choices);
        fputs("' && return 0", stdout);
    }
    puts("\n        ;;");
}

static void zsh_described(const verb *v, const char *name) {
    printf(" '%s:", name);
    print_short(v->summary, zsh_quote);
    putchar('\'');
}

static void print_zsh(const tsr_catalog *catalog) {
    const verb *v;
    fputs("#compdef tessera\n# zsh completion for tessera, made by `tessera completion zsh`\n"
          "_tessera_models() {\n"
          "    local -a models=(",
          stdout);
    print_models(catalog);
    fputs(")\n"
          "    _alternative 'models:published model:compadd -a models' 'files:file:_files'\n"
          "}\n\n"
          "_tessera() {\n"
          "    local -a verbs parts\n"
          "    verbs=(",
          stdout);
    for (int i = 0; (v = verb_at(i)); ++i)
        zsh_described(v, v->name);
    puts(" 'help:what a verb does')\n"
         "    if (( CURRENT == 2 )); then\n"
         "        _describe -t verbs verb verbs -- '(--version --help)'\n"
         "        return\n"
         "    fi\n"
         "    case $words[2] in\n"
         "    help)\n"
         "        _describe -t verbs verb verbs\n"
         "        return\n"
         "        ;;");
    for (int i = 0; (v = verb_at(i)); ++i) {
        if (!v->parts) continue;
        printf("    %s)\n        parts=(", v->name);
        for (const verb *const *part = v->parts; *part; ++part)
            zsh_described(*part, args_part_name(*part));
        puts(")\n        ;;");
    }
    puts("    esac\n"
         "    if (( CURRENT == 3 && $#parts )); then\n"
         "        _describe -t parts part parts\n"
         "        return\n"
         "    fi\n"
         "    local verb=$words[2]\n"
         "    if (( $#parts )); then\n"
         "        verb+=\" $words[3]\"\n"
         "        shift words\n"
         "        (( CURRENT-- ))\n"
         "    fi\n"
         "    shift words\n"
         "    (( CURRENT-- ))\n"
         "    case $verb in");
    verb_each_leaf(zsh_verb, NULL);
    puts("    esac\n"
         "    return 1\n"
         "}\n\n"
         "if [[ ${funcstack[1]-} == _tessera ]]; then\n"
         "    _tessera \"$@\"\n"
         "else\n"
         "    compdef _tessera tessera\n"
         "fi");
}

/* ---- fish ---- */

static const char fish_quote[] = "\\'";

static void fish_offer(offer kind, const char *choices, const tsr_catalog *catalog) {
    switch (kind) {
    case OFFER_WORDS:
        fputs(" -x -a '", stdout);
        print_choices(choices, ' ');
        putchar('\'');
        break;
    case OFFER_MODELS:
        fputs(" -r -F -a '", stdout);
        print_models(catalog);
        putchar('\'');
        break;
    case OFFER_FILES:
        fputs(" -r -F", stdout);
        break;
    case OFFER_NOTHING:
        fputs(" -x", stdout);
        break;
    case OFFER_FLAG:
        break;
    }
}

static void fish_verb(const verb *v, void *user) {
    const option *o;
    for (int i = 0; (o = args_option(v, i)); ++i) {
        printf("complete -c tessera -n '__tessera_verb %s' -l %s", v->name, o->name);
        if (o->letter) printf(" -s %c", o->letter);
        fish_offer(offer_of(o), o->choices, user);
        fputs(" -d '", stdout);
        print_short(o->help, fish_quote);
        puts("'");
    }
    const offer kind = offer_of_operands(v);
    if (kind == OFFER_NOTHING) return;
    printf("complete -c tessera -n '__tessera_verb %s'", v->name);
    if (kind == OFFER_FILES)
        fputs(" -F", stdout);
    else if (kind == OFFER_WORDS)
        fish_offer(kind, v->operand_choices, user);
    else {
        fputs(" -F -a '", stdout);
        print_models(user);
        putchar('\'');
    }
    putchar('\n');
}

static void fish_word(const char *condition, const char *word, const char *about) {
    printf("complete -c tessera -n '%s' -f -a %s -d '", condition, word);
    print_short(about, fish_quote);
    puts("'");
}

static void print_fish(tsr_catalog *catalog) {
    const verb *v;
    char condition[80];
    puts("# fish completion for tessera, made by `tessera completion fish`\n"
         "function __tessera_verb # the words behind the program's name begin with these\n"
         "    set -l typed (commandline -opc)\n"
         "    set -e typed[1]\n"
         "    for word in $argv\n"
         "        test \"$typed[1]\" = $word; or return 1\n"
         "        set -e typed[1]\n"
         "    end\n"
         "end\n"
         "function __tessera_words # there are exactly so many\n"
         "    test (count (commandline -opc)) -eq $argv[1]\n"
         "end\n"
         "complete -c tessera -f");
    for (int i = 0; (v = verb_at(i)); ++i) {
        fish_word("__tessera_words 1", v->name, v->summary);
        fish_word("__tessera_words 2; and __tessera_verb help", v->name, v->summary);
        snprintf(condition, sizeof condition, "__tessera_words 2; and __tessera_verb %s", v->name);
        for (const verb *const *part = v->parts; part && *part; ++part)
            fish_word(condition, args_part_name(*part), (*part)->summary);
    }
    fish_word("__tessera_words 1", "help", "what a verb does");
    puts("complete -c tessera -n '__tessera_words 1' -l version -s V -d 'version, commit, features "
         "and libraries'\n"
         "complete -c tessera -n '__tessera_words 1' -l help -s h -d 'the verbs'");
    verb_each_leaf(fish_verb, catalog);
}

/* ---- the verb ---- */

static int run(const verb *v, int argc, char **argv) {
    completion_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    static const char *const shells[] = {"bash", "zsh", "fish"};
    int shell = 0;
    while (shell < 3 && strcmp(argv[0], shells[shell]) != 0)
        ++shell;
    if (shell == 3) return args_wrong(v, "wanted bash, zsh or fish, got '%s'", argv[0]);
    if (o.common.json) return args_wrong(v, "--json: a script has no JSON form");
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    tsr_catalog *catalog = NULL;
    tsr_status status = tsr_catalog_open(t.ctx, NULL, &catalog);
    if (status)
        code = tool_fail(&t, status);
    else {
        if (shell == 0)
            print_bash(catalog);
        else if (shell == 1)
            print_zsh(catalog);
        else
            print_fish(catalog);
        code = EXIT_DONE;
    }
    tsr_catalog_close(&catalog);
    tool_close(&t);
    return code;
}

const verb verb_completion = {
    .name = "completion",
    .summary = "print a script that completes command lines in bash, zsh or fish",
    .usage = "tessera completion bash|zsh|fish",
    .about = "The script offers verbs, options, the values of options that have a list of them, "
             "names of published models where a model is wanted, and files. An installed tessera "
             "has it in the shells' own folders already.",
    .examples = "# for this shell, or in ~/.bashrc\n"
                "source <(tessera completion bash)\n"
                "# in ~/.zshrc, behind compinit\n"
                "source <(tessera completion zsh)\n"
                "# once\n"
                "tessera completion fish > ~/.config/fish/completions/tessera.fish",
    .least_operands = 1,
    .most_operands = 1,
    .operands = "bash, zsh or fish",
    .operand_kind = OPTION_CHOICE,
    .operand_choices = "bash|zsh|fish",
    .run = run,
};
