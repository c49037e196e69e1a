/**
 * What the extract holds and what follows from it, counted apart from the platform: what the demo and the tests
 * compare the platform's counts with.
 *
 * @module
 */
import type { Instant } from "shared/contracts/time.ts";

/** Invoice lines and products of a period, and what the cleaning leaves of the lines. */
export interface ExpectedPeriod {
  lines: number;
  withoutCustomer: number;
  /** With a customer, but at a price of zero or less. */
  withoutPrice: number;
  clean: number;
  products: number;
  /** The newest event time: the project's clock afterwards. */
  clock: Instant;
  /** Customers with an order in the 60 days before the clock. */
  activeCustomers: number;
}

/** Lines before {@link DRIFT_FROM} (load.ts). */
export const HISTORY: ExpectedPeriod = {
  lines: 57_502,
  withoutCustomer: 3_860,
  withoutPrice: 8,
  clean: 53_634,
  products: 2_802,
  clock: "2011-05-01T13:45:00.000Z",
  activeCustomers: 625,
};

/** Lines from then on. */
export const REPLAY: ExpectedPeriod = {
  lines: 54_411,
  withoutCustomer: 4_662,
  withoutPrice: 5,
  clean: 49_744,
  products: 683,
  clock: "2011-08-31T17:45:00.000Z",
  activeCustomers: 607,
};

/** Observations a model learns from and is judged on. */
export interface ExpectedObservations {
  train: number;
  test: number;
  testFrom: Instant;
  testUntil: Instant;
  /** The share of test observations that are followed by an order. */
  testBaseRate: number;
}

export const FIRST_MODEL: ExpectedObservations = {
  train: 2_407,
  test: 1_667,
  testFrom: "2011-03-14T00:00:00.000Z",
  testUntil: "2011-03-28T00:00:00.000Z",
  testBaseRate: 0.3437,
};

export const RETRAINED_MODEL: ExpectedObservations = {
  train: 13_019,
  test: 1_931,
  testFrom: "2011-07-18T00:00:00.000Z",
  testUntil: "2011-08-01T00:00:00.000Z",
  testBaseRate: 0.3439,
};

/** The features of one customer at a Monday, in the order of the feature service `reorder`, to six decimals. */
export const ONE_CUSTOMER = {
  customer: 17841,
  at: "2011-04-25T00:00:00.000Z",
  features: {
    "customer_orders.days_since_last_order": 3.570139,
    "customer_orders.orders_7d": 2,
    "customer_orders.orders_30d": 7,
    "customer_orders.orders_60d": 15,
    "customer_orders.spend_30d": 1968.08,
    "customer_orders.spend_60d": 3213.67,
    "customer_orders.lines_30d": 409,
    "customer_orders.lines_60d": 680,
    "customer_orders.quantity_30d": 1038,
    "customer_orders.quantity_60d": 1668,
    "customer_orders.products_30d": 252,
    "customer_orders.products_60d": 345,
    "customer_orders.cancellations_30d": 2,
    "customer_orders.cancellations_60d": 5,
    "customer_orders.order_days_30d": 7,
    "customer_orders.line_amount_mean_60d": 4.725985,
    "customer_orders.line_amount_max_60d": 115.5,
    "customer_orders.avg_order_value_60d": 214.244667,
    "customer_orders.lines_per_order_60d": 45.333333,
    "customer_orders.quantity_per_line_60d": 2.452941,
  },
} as const;
