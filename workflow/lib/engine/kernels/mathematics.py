"""Elementary functions on vectors, from exact operations alone: the same bits on any processor.

Range reduction in two or three steps and a short series; all are within a few units in the last
place of the true value where networks use them.
"""

from __future__ import annotations

import math

from llvmlite import ir

from lib.engine.kernels.emit import IVEC, LANES, VEC, Emitter, constant

LN2_HIGH, LN2_LOW = 0.693145751953125, 1.42860682030941723212e-6
PI_PARTS = (3.140625, 0.0009670257568359375, 6.2771141529083251953e-07, 1.2154201256553420762e-10)
LOWEST, HIGHEST = -87.0, 88.0  # where e^x leaves the normal numbers


def integers(value: int) -> ir.Constant:
    """A vector with the same integer in each lane."""
    return ir.Constant(IVEC, [value] * LANES)


def series(e: Emitter, x: ir.Value, coefficients: list[float]) -> ir.Value:
    """The polynomial in x with these coefficients, highest power first."""
    result = constant(coefficients[0])
    for coefficient in coefficients[1:]:
        result = e.fma(result, x, constant(coefficient))
    return result


def larger(e: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
    """The larger of two vectors in each lane; NaN in the first stays."""
    return e.b.select(e.b.fcmp_ordered("<", a, b), b, a)


def smaller(e: Emitter, a: ir.Value, b: ir.Value) -> ir.Value:
    """The smaller of two vectors in each lane; NaN in the first stays."""
    return e.b.select(e.b.fcmp_ordered(">", a, b), b, a)


def exp(e: Emitter, x: ir.Value) -> ir.Value:
    """e^x; arguments are held between -87 and 88."""
    x = smaller(e, larger(e, x, constant(LOWEST)), constant(HIGHEST))
    n = e.intrinsic("rint", e.b.fmul(x, constant(1 / math.log(2))))
    r = e.fma(n, constant(-LN2_HIGH), x)
    r = e.fma(n, constant(-LN2_LOW), r)
    value = series(e, r, [1 / math.factorial(k) for k in range(7, -1, -1)])
    # NaN has no integer: such lanes are put back at the end
    number = e.b.select(e.b.fcmp_ordered("ord", x, x), n, constant(0.0))
    power = e.b.shl(e.b.add(e.b.fptosi(number, IVEC), integers(127)), integers(23))
    return e.b.fmul(value, e.b.bitcast(power, VEC))


def log(e: Emitter, x: ir.Value) -> ir.Value:
    """The natural logarithm of normal positive numbers; NaN stays NaN."""
    bits = e.b.bitcast(x, IVEC)
    # the mantissa in [sqrt(1/2), sqrt(2)): 0x3f3504f3 is sqrt(1/2)
    shifted = e.b.sub(bits, integers(0x3F3504F3))
    exponent = e.b.ashr(shifted, integers(23))
    mantissa = e.b.bitcast(e.b.sub(bits, e.b.shl(exponent, integers(23))), VEC)
    n = e.b.sitofp(exponent, VEC)
    s = e.b.fdiv(e.b.fsub(mantissa, constant(1)), e.b.fadd(mantissa, constant(1)))
    tail = series(e, e.b.fmul(s, s), [2 / k for k in (11, 9, 7, 5, 3)])
    s3 = e.b.fmul(e.b.fmul(s, s), s)
    value = e.fma(s3, tail, e.b.fadd(s, s))
    value = e.fma(n, constant(LN2_LOW), value)
    value = e.fma(n, constant(LN2_HIGH), value)
    return e.b.select(e.b.fcmp_ordered("ord", x, x), value, x)


def sine(e: Emitter, x: ir.Value, *, cosine: bool = False) -> ir.Value:
    """Sine (or cosine) of x in radians, for |x| up to about 10^4."""
    n = e.intrinsic("rint", e.b.fmul(x, constant(1 / math.pi)))
    r = x
    for part in PI_PARTS:
        r = e.fma(n, constant(-part), r)
    first = 0 if cosine else 1
    powers = range(12 + first, -1, -2)
    terms = [(-1) ** (k // 2) / math.factorial(k) for k in powers if k >= first]
    value = series(e, e.b.fmul(r, r), terms)
    if not cosine:
        value = e.b.fmul(value, r)
    number = e.b.select(e.b.fcmp_ordered("ord", x, x), n, constant(0.0))
    odd = e.b.shl(e.b.fptosi(number, IVEC), integers(31))
    return e.b.bitcast(e.b.xor(e.b.bitcast(value, IVEC), odd), VEC)


def sigmoid(e: Emitter, x: ir.Value) -> ir.Value:
    """1 / (1 + e^-x)."""
    return e.b.fdiv(constant(1.0), e.b.fadd(constant(1.0), exp(e, e.b.fneg(x))))


def normal(e: Emitter, x: ir.Value) -> ir.Value:
    """Share of the normal distribution below x (Abramowitz and Stegun, 7.1.26)."""
    size = e.intrinsic("fabs", x)
    t = e.b.fdiv(constant(1.0), e.fma(constant(0.3275911 / math.sqrt(2)), size, constant(1.0)))
    coefficients = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0]
    above = e.b.fmul(series(e, t, coefficients), exp(e, e.b.fmul(constant(-0.5), e.b.fmul(x, x))))
    half = e.b.fmul(constant(0.5), above)
    negative = e.b.fcmp_ordered("<", x, constant(0.0))
    return e.b.select(negative, half, e.b.fsub(constant(1.0), half))


def tanh(e: Emitter, x: ir.Value) -> ir.Value:
    """The hyperbolic tangent: a series near zero, by e^2x elsewhere."""
    size = e.intrinsic("fabs", x)
    grown = exp(e, e.b.fadd(size, size))
    far = e.b.fsub(constant(1.0), e.b.fdiv(constant(2.0), e.b.fadd(grown, constant(1.0))))
    square = e.b.fmul(x, x)
    near = series(e, square, [-1382 / 155925, 62 / 2835, -17 / 315, 2 / 15, -1 / 3])
    near = e.fma(e.b.fmul(near, square), x, x)
    signed = e.intrinsic("copysign", far, x)
    return e.b.select(e.b.fcmp_ordered("<", size, constant(0.35)), near, signed)
