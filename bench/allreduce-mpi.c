/* Peer of bench/allreduce.ts: REPEATS BYTES...; prints bytes and the median in milliseconds, on rank 0. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  int rank;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const int repeats = atoi(argv[1]);
  double *times = malloc(sizeof(double) * repeats);
  for (int arg = 2; arg < argc; arg++) {
    const size_t bytes = strtoull(argv[arg], NULL, 10);
    const int floats = (int)(bytes / 4);
    float *array = calloc(floats, 4);
    const int warm = bytes > 10000000 ? 5 : 100;
    for (int i = -warm; i < repeats; i++) {
      MPI_Barrier(MPI_COMM_WORLD);
      const double begun = MPI_Wtime();
      MPI_Allreduce(MPI_IN_PLACE, array, floats, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
      if (i >= 0) times[i] = (MPI_Wtime() - begun) * 1000;
    }
    qsort(times, repeats, sizeof(double), ascending);
    if (rank == 0) printf("%zu %.6f\n", bytes, times[repeats / 2]);
    free(array);
  }
  MPI_Finalize();
  return 0;
}
