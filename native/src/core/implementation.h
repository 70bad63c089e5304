// No include guard: each file of an instruction set includes this once, with LEVEL its name. Nothing of the C++ library is used in
// here: a function that the linker shares between files must not carry one file's instructions into another.
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "kernels.h"

// Elements do not depend on one another, also where two arguments are the same array.
#if defined(__clang__)
#define EACH _Pragma("clang loop vectorize(assume_safety)")
#else
#define EACH _Pragma("GCC ivdep")
#endif

// Bytes of this instruction set's vectors. GCC makes poor code of wider ones.
#if defined(__AVX512F__)
#define VECTOR 64
#elif defined(__AVX2__)
#define VECTOR 32
#else
#define VECTOR 16
#endif

// Small loops over the vectors of one round, whose counters are constants to the compiler.
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

namespace gradmesh {
namespace {

#include "implementation-elementwise.h"
#include "implementation-codecs.h"
#include "implementation-sparse.h"
#include "implementation-updates.h"

}  // namespace

#define NAME_OF(level) #level
#define NAME(level) NAME_OF(level)
#define TABLE_OF(level) level##Kernels
#define TABLE(level) TABLE_OF(level)

const Kernels TABLE(LEVEL) = {
    NAME(LEVEL),
    add,         blend,        combine,      addScaled,    scale,        average,      dot,         sumSquares,
    sumAbs,      maxAbs,       packHalf,     unpackHalf,   packBfloat,   unpackBfloat, packInt8,    unpackInt8,
    topK,        scatterAdd,   encodeThreshold, decodeThreshold, encodeBitmap, decodeBitmap, sgd, adagrad,
    adadelta,    rmsprop,      adam,         lambMoments,  lambApply,
};

}  // namespace gradmesh
