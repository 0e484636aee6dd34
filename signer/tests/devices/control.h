/*
 * How a test tells a device library what to do: the file `<library>.control` holds one word.
 *
 *   work    answer (also when there is no file)
 *   fail    answer every operation with an error
 *   stall   hold every operation until the word changes
 *   lose    forget all sessions that were opened before; new ones work
 *   away    forget all sessions and open none
 *   lie     answer operations with wrong results
 *   padded  offer no bare RSA decryption (PKCS#11 alone)
 *
 * A count in the file `<library>.count` grows by a byte with each attempt to present a secret (PIN, password).
 */
#ifndef CONTROL_H
#define CONTROL_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void control_path(const char *suffix, char *path, size_t size)
{
    Dl_info self;
    path[0] = 0;
    if (dladdr((void *)control_path, &self))
        snprintf(path, size, "%s.%s", self.dli_fname, suffix);
}

static void control_word(char word[16])
{
    char path[1024];
    FILE *file;
    strcpy(word, "work");
    control_path("control", path, sizeof path);
    file = fopen(path, "r");
    if (!file)
        return;
    if (fscanf(file, "%15s", word) != 1)
        strcpy(word, "work");
    fclose(file);
}

static int control_is(const char *wanted)
{
    char word[16];
    control_word(word);
    return strcmp(word, wanted) == 0;
}

/* Waits while the word is `stall`. */
static void control_stall(void)
{
    while (control_is("stall"))
        usleep(2000);
}

static void control_count_secret(void)
{
    char path[1024];
    FILE *file;
    control_path("count", path, sizeof path);
    file = fopen(path, "a");
    if (file) {
        fputc('.', file);
        fclose(file);
    }
}

/*
 * The era grows each time the word becomes `lose` or `away`; a session of an earlier era is lost.
 */
static unsigned long control_era(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static unsigned long era = 1;
    static int lost;
    unsigned long now;
    int loses = control_is("lose") || control_is("away");
    pthread_mutex_lock(&lock);
    if (loses && !lost)
        era++;
    lost = loses;
    now = era;
    pthread_mutex_unlock(&lock);
    return now;
}

#endif
