/*
 * A cryptographic device in software behind the GM/T 0018-2012 interface, for tests alone: SM2 and RSA by OpenSSL's
 * libcrypto, written from the standard's list of functions, so that the signer's SDF provider is tried against an
 * implementation of SM2 that shares nothing with its own.
 *
 * Keys are encrypted PEM files `<library>.sign-<index>.pem` and `<library>.enc-<index>.pem` under the pass phrase in
 * `<library>.passphrase`. The access password of every index is in `<library>.password`. See control.h for the rest.
 * INTERNAL_DECRYPT chooses the order of SDF_InternalDecrypt_ECC's arguments: 0 none of that function, 1 index,
 * 2 index and algorithm, 3 algorithm and index.
 */
#include "control.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#ifndef INTERNAL_DECRYPT
#define INTERNAL_DECRYPT 1
#endif
#define INDEXES 16
#define WORD 32
#define SGD_SM2_3 0x00020800u

enum {
    SDR_OK = 0,
    SDR_COMMFAIL = 0x01000003,
    SDR_HARDFAIL = 0x01000004,
    SDR_OPENDEVICE = 0x01000005,
    SDR_OPENSESSION = 0x01000006,
    SDR_PARDENY = 0x01000007,
    SDR_KEYNOTEXIST = 0x01000008,
    SDR_ALGNOTSUPPORT = 0x01000009,
    SDR_SKOPERR = 0x0100000C,
    SDR_SIGNERR = 0x0100000D,
    SDR_INARGERR = 0x0100001D,
};

typedef struct { unsigned int bits; unsigned char m[256], e[256]; } RSArefPublicKey;
typedef struct { unsigned int bits; unsigned char x[64], y[64]; } ECCrefPublicKey;
typedef struct { unsigned char r[64], s[64]; } ECCSignature;
typedef struct { unsigned char x[64], y[64], M[32]; unsigned int L; unsigned char C[1]; } ECCCipher;
typedef struct {
    unsigned char issuer[40], name[16], serial[16];
    unsigned int device_version, standard_version, asymmetric[2], symmetric, hash, buffer;
} DEVICEINFO;

typedef struct { unsigned long era; int allowed[INDEXES]; } Session;

static int device;

static int readable(const char *suffix, char *content, size_t size)
{
    char path[1024];
    size_t read;
    FILE *file;
    control_path(suffix, path, sizeof path);
    file = fopen(path, "r");
    if (!file)
        return 0;
    read = fread(content, 1, size - 1, file);
    fclose(file);
    content[read] = 0;
    content[strcspn(content, "\r\n")] = 0;
    return 1;
}

static int lost(const Session *session)
{
    return !session || session->era != control_era();
}

static EVP_PKEY *key_of(const char *use, unsigned int index)
{
    char suffix[32], path[1024], passphrase[128];
    EVP_PKEY *key;
    FILE *file;
    snprintf(suffix, sizeof suffix, "%s-%u.pem", use, index);
    control_path(suffix, path, sizeof path);
    file = fopen(path, "r");
    if (!file || !readable("passphrase", passphrase, sizeof passphrase)) {
        if (file)
            fclose(file);
        return NULL;
    }
    key = PEM_read_PrivateKey(file, NULL, NULL, passphrase);
    fclose(file);
    return key;
}

int SDF_OpenDevice(void **handle)
{
    if (control_is("away"))
        return SDR_OPENDEVICE;
    *handle = &device;
    return SDR_OK;
}

int SDF_CloseDevice(void *handle)
{
    return handle == &device ? SDR_OK : SDR_INARGERR;
}

int SDF_OpenSession(void *handle, void **session)
{
    Session *opened;
    if (handle != &device)
        return SDR_INARGERR;
    if (control_is("away"))
        return SDR_COMMFAIL;
    opened = calloc(1, sizeof *opened);
    opened->era = control_era();
    *session = opened;
    return SDR_OK;
}

int SDF_CloseSession(void *session)
{
    free(session);
    return SDR_OK;
}

int SDF_GetDeviceInfo(void *session, DEVICEINFO *description)
{
    if (lost(session))
        return SDR_OPENSESSION;
    if (control_is("fail"))
        return SDR_HARDFAIL;
    memset(description, 0, sizeof *description);
    strcpy((char *)description->name, "software");
    return SDR_OK;
}

int SDF_GetPrivateKeyAccessRight(void *handle, unsigned int index, unsigned char *password, unsigned int length)
{
    Session *session = handle;
    char right[128];
    control_count_secret();
    if (lost(session))
        return SDR_OPENSESSION;
    if (index == 0 || index >= INDEXES)
        return SDR_KEYNOTEXIST;
    if (!readable("password", right, sizeof right) || strlen(right) != length || memcmp(right, password, length))
        return SDR_PARDENY;
    session->allowed[index] = 1;
    return SDR_OK;
}

int SDF_ReleasePrivateKeyAccessRight(void *handle, unsigned int index)
{
    Session *session = handle;
    if (!session || index >= INDEXES)
        return SDR_INARGERR;
    session->allowed[index] = 0;
    return SDR_OK;
}

static int export_ecc(void *session, const char *use, unsigned int index, ECCrefPublicKey *out)
{
    BIGNUM *x = NULL, *y = NULL;
    EVP_PKEY *key;
    int result = SDR_KEYNOTEXIST;
    if (lost(session))
        return SDR_OPENSESSION;
    key = key_of(use, index);
    memset(out, 0, sizeof *out);
    if (key && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x)
        && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y)) {
        out->bits = 256;
        BN_bn2binpad(x, out->x, 64);
        BN_bn2binpad(y, out->y, 64);
        result = SDR_OK;
    }
    BN_free(x);
    BN_free(y);
    EVP_PKEY_free(key);
    return result;
}

int SDF_ExportSignPublicKey_ECC(void *session, unsigned int index, ECCrefPublicKey *out)
{
    return export_ecc(session, "sign", index, out);
}

int SDF_ExportEncPublicKey_ECC(void *session, unsigned int index, ECCrefPublicKey *out)
{
    return export_ecc(session, "enc", index, out);
}

static int export_rsa(void *session, const char *use, unsigned int index, RSArefPublicKey *out)
{
    BIGNUM *n = NULL, *e = NULL;
    EVP_PKEY *key;
    int result = SDR_KEYNOTEXIST;
    if (lost(session))
        return SDR_OPENSESSION;
    key = key_of(use, index);
    memset(out, 0, sizeof *out);
    if (key && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n)
        && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e)) {
        out->bits = BN_num_bits(n);
        BN_bn2binpad(n, out->m, sizeof out->m);
        BN_bn2binpad(e, out->e, sizeof out->e);
        result = SDR_OK;
    }
    BN_free(n);
    BN_free(e);
    EVP_PKEY_free(key);
    return result;
}

int SDF_ExportSignPublicKey_RSA(void *session, unsigned int index, RSArefPublicKey *out)
{
    return export_rsa(session, "sign", index, out);
}

int SDF_ExportEncPublicKey_RSA(void *session, unsigned int index, RSArefPublicKey *out)
{
    return export_rsa(session, "enc", index, out);
}

/* What every use of a private key goes through first. */
static int allowed(const Session *session, unsigned int index)
{
    control_stall();
    if (lost(session))
        return SDR_OPENSESSION;
    if (index == 0 || index >= INDEXES)
        return SDR_KEYNOTEXIST;
    return session->allowed[index] ? SDR_OK : SDR_PARDENY;
}

int SDF_InternalSign_ECC(void *session, unsigned int index, unsigned char *e, unsigned int length, ECCSignature *out)
{
    unsigned char der[128];
    const unsigned char *at = der;
    size_t der_bytes = sizeof der;
    const BIGNUM *r, *s;
    ECDSA_SIG *signature = NULL;
    EVP_PKEY_CTX *context;
    EVP_PKEY *key;
    int result = allowed(session, index);
    if (result)
        return result;
    if (control_is("fail"))
        return SDR_SIGNERR;
    if (length != WORD)
        return SDR_INARGERR;
    if (!(key = key_of("sign", index)))
        return SDR_KEYNOTEXIST;
    result = SDR_SIGNERR;
    context = EVP_PKEY_CTX_new(key, NULL);
    if (context && EVP_PKEY_sign_init(context) > 0 && EVP_PKEY_sign(context, der, &der_bytes, e, length) > 0
        && (signature = d2i_ECDSA_SIG(NULL, &at, der_bytes))) {
        ECDSA_SIG_get0(signature, &r, &s);
        BN_bn2binpad(r, out->r, 64);
        BN_bn2binpad(s, out->s, 64);
        if (control_is("lie"))
            out->s[63] ^= 1;
        result = SDR_OK;
    }
    ECDSA_SIG_free(signature);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return result;
}

/* SEQUENCE { x INTEGER, y INTEGER, hash OCTET STRING, masked OCTET STRING }, as OpenSSL wants it. */
static int cipher_der(const ECCCipher *cipher, unsigned char *der)
{
    unsigned char content[512], *at = content;
    const unsigned char *numbers[2] = { cipher->x + 32, cipher->y + 32 };
    int i;
    for (i = 0; i < 2; i++) {
        const unsigned char *number = numbers[i];
        int bytes = WORD, sign;
        while (bytes > 1 && *number == 0)
            number++, bytes--;
        sign = *number >> 7;
        *at++ = 0x02;
        *at++ = bytes + sign;
        if (sign)
            *at++ = 0;
        memcpy(at, number, bytes);
        at += bytes;
    }
    *at++ = 0x04;
    *at++ = WORD;
    memcpy(at, cipher->M, WORD);
    at += WORD;
    *at++ = 0x04;
    *at++ = cipher->L;
    memcpy(at, cipher->C, cipher->L);
    at += cipher->L;
    der[0] = 0x30;
    i = at - content;
    if (i < 128) {
        der[1] = i;
        memcpy(der + 2, content, i);
        return i + 2;
    }
    der[1] = 0x81;
    der[2] = i;
    memcpy(der + 3, content, i);
    return i + 3;
}

static int decrypt_ecc(void *session, unsigned int index, const ECCCipher *cipher, unsigned char *out,
    unsigned int *out_bytes)
{
    unsigned char der[512], plaintext[256];
    size_t bytes = sizeof plaintext;
    EVP_PKEY_CTX *context;
    EVP_PKEY *key;
    int result = allowed(session, index);
    if (result)
        return result;
    if (control_is("fail"))
        return SDR_HARDFAIL;
    if (cipher->L == 0 || cipher->L > 100)
        return SDR_INARGERR;
    if (!(key = key_of("enc", index)))
        return SDR_KEYNOTEXIST;
    result = SDR_SKOPERR;
    context = EVP_PKEY_CTX_new(key, NULL);
    if (context && EVP_PKEY_decrypt_init(context) > 0
        && EVP_PKEY_decrypt(context, plaintext, &bytes, der, cipher_der(cipher, der)) > 0) {
        memcpy(out, plaintext, bytes);
        *out_bytes = bytes;
        if (control_is("lie"))
            out[0] ^= 1;
        result = SDR_OK;
    }
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return result;
}

#if INTERNAL_DECRYPT == 1
int SDF_InternalDecrypt_ECC(void *session, unsigned int index, ECCCipher *cipher, unsigned char *out,
    unsigned int *out_bytes)
{
    return decrypt_ecc(session, index, cipher, out, out_bytes);
}
#elif INTERNAL_DECRYPT == 2
int SDF_InternalDecrypt_ECC(void *session, unsigned int index, unsigned int algorithm, ECCCipher *cipher,
    unsigned char *out, unsigned int *out_bytes)
{
    return algorithm == SGD_SM2_3 ? decrypt_ecc(session, index, cipher, out, out_bytes) : SDR_ALGNOTSUPPORT;
}
#elif INTERNAL_DECRYPT == 3
int SDF_InternalDecrypt_ECC(void *session, unsigned int algorithm, unsigned int index, ECCCipher *cipher,
    unsigned char *out, unsigned int *out_bytes)
{
    return algorithm == SGD_SM2_3 ? decrypt_ecc(session, index, cipher, out, out_bytes) : SDR_ALGNOTSUPPORT;
}
#endif

int SDF_InternalPrivateKeyOperation_RSA(void *session, unsigned int index, unsigned char *in, unsigned int in_bytes,
    unsigned char *out, unsigned int *out_bytes)
{
    EVP_PKEY_CTX *context;
    EVP_PKEY *key;
    size_t bytes;
    int result = allowed(session, index);
    if (result)
        return result;
    if (control_is("fail"))
        return SDR_HARDFAIL;
    key = key_of("sign", index);
    if (!key)
        key = key_of("enc", index);
    if (!key)
        return SDR_KEYNOTEXIST;
    bytes = EVP_PKEY_get_size(key);
    result = SDR_SKOPERR;
    context = EVP_PKEY_CTX_new(key, NULL);
    if (*out_bytes >= bytes && in_bytes == bytes && context && EVP_PKEY_decrypt_init(context) > 0
        && EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) > 0
        && EVP_PKEY_decrypt(context, out, &bytes, in, in_bytes) > 0) {
        *out_bytes = bytes;
        if (control_is("lie"))
            out[0] ^= 1;
        result = SDR_OK;
    }
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return result;
}
