/**
 * What a consumer tells Prometheus. Consumers of one service share the metrics, by the labels `stream` and
 * `durable`.
 *
 * @module
 */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

const labelNames = ["stream", "durable"] as const;
type Labels = Record<typeof labelNames[number], string>;

export interface ConsumerMetrics {
  handled(messages: number, seconds: number): void;
  deadLetters(count: number): void;
  failed(): void;
  paused(is: boolean): void;
  lag(messages: number): void;
}

export function consumerMetrics(registry: Registry, labels: Labels): ConsumerMetrics {
  const messages = counter(registry, "microml_consumer_messages_total", "Messages handled and acknowledged");
  const batches = counter(registry, "microml_consumer_batches_total", "Batches handled and acknowledged");
  const failures = counter(registry, "microml_consumer_failures_total", "Attempts at a batch that failed");
  const deadLetters = counter(registry, "microml_consumer_dead_letters_total", "Dead letters published");
  const paused = gauge(
    registry,
    "microml_consumer_paused",
    "1 while waiting for bus, database or a neighbour",
  );
  const lag = gauge(
    registry,
    "microml_consumer_lag",
    "Messages that are not acknowledged yet, by all copies",
  );
  const seconds = histogram(registry, "microml_consumer_batch_seconds", "From taking a batch to its end");
  deadLetters.inc(labels, 0);
  paused.set(labels, 0);
  return {
    handled(count, duration) {
      messages.inc(labels, count);
      batches.inc(labels);
      seconds.observe(labels, duration);
    },
    deadLetters: (count) => deadLetters.inc(labels, count),
    failed: () => failures.inc(labels),
    paused: (is) => paused.set(labels, is ? 1 : 0),
    lag: (count) => lag.set(labels, count),
  };
}

function counter(registry: Registry, name: string, help: string): Counter<keyof Labels> {
  const known = registry.getSingleMetric(name) as Counter<keyof Labels> | undefined;
  return known ?? new Counter({ name, help, labelNames, registers: [registry] });
}

function gauge(registry: Registry, name: string, help: string): Gauge<keyof Labels> {
  const known = registry.getSingleMetric(name) as Gauge<keyof Labels> | undefined;
  return known ?? new Gauge({ name, help, labelNames, registers: [registry] });
}

function histogram(registry: Registry, name: string, help: string): Histogram<keyof Labels> {
  const known = registry.getSingleMetric(name) as Histogram<keyof Labels> | undefined;
  return known ?? new Histogram({
    name,
    help,
    labelNames,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  });
}
