/*
 * A PKCS#11 module for tests alone: SoftHSM2's, which does the work, with the faults of control.h before it.
 * The list of functions is SoftHSM2's with some entries exchanged; its layout is that of PKCS#11 2.40 on LP64.
 * Built with -DMODULE="\"/path/to/libsofthsm2.so\"".
 */
#include "control.h"

typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;
typedef struct { unsigned char version[8]; void *functions[68]; } FunctionList;

enum {
    CKR_GENERAL_ERROR = 0x05,
    CKR_DEVICE_ERROR = 0x30,
    CKR_DEVICE_REMOVED = 0x32,
    CKM_RSA_X_509 = 3,
    CKM_WITHDRAWN = 0x7FFFFFFF,
    C_GET_MECHANISM_LIST = 7,
    C_OPEN_SESSION = 12,
    C_CLOSE_ALL_SESSIONS = 14,
    C_GET_SESSION_INFO = 15,
    C_LOGIN = 18,
    C_DECRYPT_INIT = 33,
    C_DECRYPT = 34,
    C_SIGN_INIT = 42,
    C_SIGN = 43,
};

static FunctionList ours;
static const FunctionList *real;
static pthread_rwlock_t sessions = PTHREAD_RWLOCK_INITIALIZER;
static CK_ULONG slot_used;

#define REAL(number, ...) (((CK_RV (*)(__VA_ARGS__))real->functions[number]))

/* Closes every session when the word says that they are lost. */
static void follow_era(void)
{
    static unsigned long era = 1;
    unsigned long now = control_era();
    pthread_rwlock_wrlock(&sessions);
    if (now != era) {
        era = now;
        REAL(C_CLOSE_ALL_SESSIONS, CK_ULONG)(slot_used);
    }
    pthread_rwlock_unlock(&sessions);
}

static CK_RV open_session(CK_ULONG slot, CK_ULONG flags, void *application, void *notify, CK_ULONG *session)
{
    follow_era();
    if (control_is("away"))
        return CKR_DEVICE_REMOVED;
    slot_used = slot;
    return REAL(C_OPEN_SESSION, CK_ULONG, CK_ULONG, void *, void *, CK_ULONG *)(slot, flags, application, notify, session);
}

static CK_RV mechanisms(CK_ULONG slot, CK_ULONG *list, CK_ULONG *count)
{
    CK_RV result = REAL(C_GET_MECHANISM_LIST, CK_ULONG, CK_ULONG *, CK_ULONG *)(slot, list, count);
    CK_ULONG i;
    if (result == 0 && list && control_is("padded"))
        for (i = 0; i < *count; i++)
            if (list[i] == CKM_RSA_X_509)
                list[i] = CKM_WITHDRAWN;
    return result;
}

static CK_RV session_info(CK_ULONG session, void *info)
{
    follow_era();
    if (control_is("fail"))
        return CKR_DEVICE_ERROR;
    return REAL(C_GET_SESSION_INFO, CK_ULONG, void *)(session, info);
}

static CK_RV login(CK_ULONG session, CK_ULONG user, unsigned char *pin, CK_ULONG pin_bytes)
{
    control_count_secret();
    return REAL(C_LOGIN, CK_ULONG, CK_ULONG, unsigned char *, CK_ULONG)(session, user, pin, pin_bytes);
}

static CK_RV init(int number, CK_ULONG session, void *mechanism, CK_ULONG key)
{
    CK_RV result;
    control_stall();
    follow_era();
    if (control_is("fail"))
        return CKR_DEVICE_ERROR;
    pthread_rwlock_rdlock(&sessions);
    result = REAL(number, CK_ULONG, void *, CK_ULONG)(session, mechanism, key);
    pthread_rwlock_unlock(&sessions);
    return result;
}

static CK_RV sign_init(CK_ULONG session, void *mechanism, CK_ULONG key)
{
    return init(C_SIGN_INIT, session, mechanism, key);
}

static CK_RV decrypt_init(CK_ULONG session, void *mechanism, CK_ULONG key)
{
    return init(C_DECRYPT_INIT, session, mechanism, key);
}

static CK_RV operate(int number, CK_ULONG session, unsigned char *in, CK_ULONG in_bytes, unsigned char *out,
    CK_ULONG *out_bytes)
{
    CK_RV result;
    pthread_rwlock_rdlock(&sessions);
    result = REAL(number, CK_ULONG, unsigned char *, CK_ULONG, unsigned char *, CK_ULONG *)(session, in, in_bytes, out,
        out_bytes);
    pthread_rwlock_unlock(&sessions);
    if (result == 0 && out && control_is("lie"))
        out[0] ^= 1;
    return result;
}

static CK_RV sign(CK_ULONG session, unsigned char *in, CK_ULONG in_bytes, unsigned char *out, CK_ULONG *out_bytes)
{
    return operate(C_SIGN, session, in, in_bytes, out, out_bytes);
}

static CK_RV decrypt(CK_ULONG session, unsigned char *in, CK_ULONG in_bytes, unsigned char *out, CK_ULONG *out_bytes)
{
    return operate(C_DECRYPT, session, in, in_bytes, out, out_bytes);
}

CK_RV C_GetFunctionList(FunctionList **list)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    CK_RV result = 0;
    pthread_mutex_lock(&once);
    if (!real) {
        void *module = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
        CK_RV (*functions)(const FunctionList **) = NULL;
        if (module)
            *(void **)&functions = dlsym(module, "C_GetFunctionList");
        result = functions ? functions(&real) : CKR_GENERAL_ERROR;
        if (result == 0) {
            ours = *real;
            ours.functions[C_GET_MECHANISM_LIST] = mechanisms;
            ours.functions[C_OPEN_SESSION] = open_session;
            ours.functions[C_GET_SESSION_INFO] = session_info;
            ours.functions[C_LOGIN] = login;
            ours.functions[C_DECRYPT_INIT] = decrypt_init;
            ours.functions[C_DECRYPT] = decrypt;
            ours.functions[C_SIGN_INIT] = sign_init;
            ours.functions[C_SIGN] = sign;
        }
    }
    pthread_mutex_unlock(&once);
    *list = &ours;
    return result;
}
