// Included by implementation.h: the optimizers' updates, each one pass over memory. The order of the scalars is that of
// native/kernels/updates.ts.

/** The gradient as every rule takes it: the mean, with L2 and L1 decay. */
inline float gradient(float g, float w, float scale, float decay, float l1) {
  return (g * scale + decay * w) + ((w > 0 ? l1 : 0.0f) - (w < 0 ? l1 : 0.0f));
}

void sgdPlain(float* w, const float* g, const float* s, size_t n) {
  const float scale = s[0], decay = s[1], l1 = s[2], rate = s[3];
  EACH for (size_t i = 0; i < n; i++) w[i] = w[i] - rate * gradient(g[i], w[i], scale, decay, l1);
}

void sgdCaffe(float* w, const float* g, float* v, const float* s, size_t n) {
  const float scale = s[0], decay = s[1], l1 = s[2], rate = s[3], momentum = s[4];
  EACH for (size_t i = 0; i < n; i++) {
    const float next = momentum * v[i] + rate * gradient(g[i], w[i], scale, decay, l1);
    v[i] = next;
    w[i] = w[i] - next;
  }
}

void sgdCaffeNesterov(float* w, const float* g, float* v, const float* s, size_t n) {
  const float scale = s[0], decay = s[1], l1 = s[2], rate = s[3], momentum = s[4], onePlus = s[5];
  EACH for (size_t i = 0; i < n; i++) {
    const float back = momentum * v[i];
    const float next = back + rate * gradient(g[i], w[i], scale, decay, l1);
    v[i] = next;
    w[i] = w[i] - (onePlus * next - back);
  }
}

void sgdPytorch(float* w, const float* g, float* v, const float* s, size_t n) {
  const float scale = s[0], decay = s[1], l1 = s[2], rate = s[3], momentum = s[4];
  EACH for (size_t i = 0; i < n; i++) {
    const float next = momentum * v[i] + gradient(g[i], w[i], scale, decay, l1);
    v[i] = next;
    w[i] = w[i] - rate * next;
  }
}

void sgdPytorchNesterov(float* w, const float* g, float* v, const float* s, size_t n) {
  const float scale = s[0], decay = s[1], l1 = s[2], rate = s[3], momentum = s[4];
  EACH for (size_t i = 0; i < n; i++) {
    const float d = gradient(g[i], w[i], scale, decay, l1);
    const float next = momentum * v[i] + d;
    v[i] = next;
    w[i] = w[i] - rate * (d + momentum * next);
  }
}

void sgd(int form, float* w, const float* g, float* v, const float* scalars, size_t n) {
  switch (form) {
    case 0: return sgdPlain(w, g, scalars, n);
    case 1: return sgdCaffe(w, g, v, scalars, n);
    case 2: return sgdCaffeNesterov(w, g, v, scalars, n);
    case 3: return sgdPytorch(w, g, v, scalars, n);
    default: return sgdPytorchNesterov(w, g, v, scalars, n);
  }
}

void adagrad(float* w, const float* g, float* h, const float* s, size_t n) {
  const float scale = s[0], decay = s[1], l1 = s[2], rate = s[3], epsilon = s[4];
  EACH for (size_t i = 0; i < n; i++) {
    const float d = gradient(g[i], w[i], scale, decay, l1);
    const float next = h[i] + d * d;
    h[i] = next;
    w[i] = w[i] - (rate * d) / (__builtin_sqrtf(next) + epsilon);
  }
}

void adadelta(float* w, const float* g, float* h, float* u, const float* s, size_t n) {
  const float scale = s[0], decay = s[1], l1 = s[2], rate = s[3], epsilon = s[4], rho = s[5], rest = s[6];
  EACH for (size_t i = 0; i < n; i++) {
    const float d = gradient(g[i], w[i], scale, decay, l1);
    const float next = rho * h[i] + rest * (d * d);
    const float step = (__builtin_sqrtf(u[i] + epsilon) / __builtin_sqrtf(next + epsilon)) * d;
    h[i] = next;
    u[i] = rho * u[i] + rest * (step * step);
    w[i] = w[i] - rate * step;
  }
}

void rmsprop(float* w, const float* g, float* h, float* b, const float* s, size_t n) {
  const float scale = s[0], decay = s[1], l1 = s[2], rate = s[3], epsilon = s[4], rho = s[5], rest = s[6], momentum = s[7];
  if (b == nullptr) {
    EACH for (size_t i = 0; i < n; i++) {
      const float d = gradient(g[i], w[i], scale, decay, l1);
      const float next = rho * h[i] + rest * (d * d);
      h[i] = next;
      w[i] = w[i] - (rate * d) / (__builtin_sqrtf(next) + epsilon);
    }
    return;
  }
  EACH for (size_t i = 0; i < n; i++) {
    const float d = gradient(g[i], w[i], scale, decay, l1);
    const float next = rho * h[i] + rest * (d * d);
    const float buffer = momentum * b[i] + d / (__builtin_sqrtf(next) + epsilon);
    h[i] = next;
    b[i] = buffer;
    w[i] = w[i] - rate * buffer;
  }
}

void adam(float* w, const float* g, float* m, float* v, const float* s, size_t n) {
  const float scale = s[0], decay = s[1], l1 = s[2], rate = s[3], epsilon = s[4], beta1 = s[5], rest1 = s[6], beta2 = s[7],
              rest2 = s[8], rootScale = s[9], keep = s[10];
  EACH for (size_t i = 0; i < n; i++) {
    const float d = gradient(g[i], w[i], scale, decay, l1);
    const float first = beta1 * m[i] + rest1 * d;
    const float second = beta2 * v[i] + rest2 * (d * d);
    m[i] = first;
    v[i] = second;
    w[i] = keep * w[i] - (rate * first) / (__builtin_sqrtf(second) * rootScale + epsilon);
  }
}

/** LAMB's direction, from moments that are already this step's. */
inline float direction(float w, float m, float v, float meanScale, float rootScale, float epsilon, float decoupled) {
  return (m * meanScale) / (__builtin_sqrtf(v) * rootScale + epsilon) + decoupled * w;
}

void lambMoments(const float* w, const float* g, float* m, float* v, const float* s, double* sums, size_t n) {
  const float scale = s[0], l1 = s[2], epsilon = s[4], beta1 = s[5], rest1 = s[6], beta2 = s[7], rest2 = s[8], rootScale = s[9],
              meanScale = s[10], decoupled = s[11];
  // A piece at a time: the norms of a piece that is still in the cache cost no second pass over memory. Pieces are multiples of the
  // lanes, so that lanes go on from piece to piece.
  constexpr size_t PIECE = 2048;
  float u[PIECE];
  Lanes weights, directions;
  double tailW[16], tailU[16];
  size_t rest = 0;
  for (size_t start = 0; start < n; start += PIECE) {
    const size_t length = n - start < PIECE ? n - start : PIECE;
    EACH for (size_t j = 0; j < length; j++) {
      const size_t i = start + j;
      const float d = gradient(g[i], w[i], scale, 0.0f, l1);
      const float first = beta1 * m[i] + rest1 * d;
      const float second = beta2 * v[i] + rest2 * (d * d);
      m[i] = first;
      v[i] = second;
      u[j] = direction(w[i], first, second, meanScale, rootScale, epsilon, decoupled);
    }
    size_t j = 0;
    for (; j + 16 <= length; j += 16) {
      weights.addProducts(w + start + j, w + start + j);
      directions.addProducts(u + j, u + j);
    }
    for (rest = 0; j < length; j++, rest++) {
      tailW[rest] = static_cast<double>(w[start + j]) * static_cast<double>(w[start + j]);
      tailU[rest] = static_cast<double>(u[j]) * static_cast<double>(u[j]);
    }
  }
  sums[0] = weights.join(tailW, rest);
  sums[1] = directions.join(tailU, rest);
}

void lambApply(float* w, const float* m, const float* v, const float* s, size_t n) {
  const float rate = s[3], epsilon = s[4], rootScale = s[9], meanScale = s[10], decoupled = s[11];
  EACH for (size_t i = 0; i < n; i++) w[i] = w[i] - rate * direction(w[i], m[i], v[i], meanScale, rootScale, epsilon, decoupled);
}
