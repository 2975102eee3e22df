/**
 * What chance alone does to a fleet whose pods call at moments that have nothing to do with one
 * another: the calls of a minute are Poisson, and the busiest of many minutes is well above the mean.
 *
 * @param mean of one bucket; above 0
 * @param buckets how many there are; from 1
 * @param share of all such fleets, from 0 to 1 (exclusive), whose busiest bucket is no busier
 * @returns the busiest bucket, over the mean
 */
export function peakByChance(mean: number, buckets: number, share: number): number {
  const wanted = share ** (1 / buckets)
  let logOfExactly = -mean
  let upTo = Math.exp(logOfExactly)
  let count = 0
  while (upTo < wanted) {
    count += 1
    logOfExactly += Math.log(mean / count)
    upTo += Math.exp(logOfExactly)
    // The sum of very many terms may stop short of 1 by rounding.
    if (count > mean && logOfExactly < -40) break
  }
  return count / mean
}
