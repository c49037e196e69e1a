/**
 * The example: will this customer order again within 30 days? From real invoice lines of an online shop
 * (README.md says where they are from), cleaned, turned into windowed features of each customer, and observed weekly.
 *
 * @module
 */
import { defineProject } from "microml";

const orders = "e.is_order";
const cancellations = "e.cancelled";

export default defineProject({
  project: "online-retail",
  // History is replayed faster than it happened: the newest event time seen is now.
  clock: "event",

  sources: {
    user_events: {
      kind: "events",
      description: "Invoice lines, cancelled ones (C...) included, as the shop's till writes them: all text",
      schema: {
        type: "object",
        required: ["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice"],
        properties: {
          InvoiceNo: { type: "string", minLength: 1 },
          StockCode: { type: "string", minLength: 1 },
          Description: { type: "string" },
          Quantity: { type: "string", pattern: "^-?[0-9]+$" },
          InvoiceDate: { type: "string" },
          UnitPrice: { type: "string", pattern: "^-?[0-9]+([.][0-9]+)?$" },
          CustomerID: { type: "string" },
          Country: { type: "string" },
        },
      },
      time: "InvoiceDate",
      // A bulk load of history: each line was known when it was written.
      knownAt: "event_time",
    },
    products: {
      kind: "entities",
      description: "What a stock code stands for, each time its description changes",
      schema: {
        type: "object",
        required: ["stock_code", "description", "unit_price", "valid_from"],
        properties: {
          stock_code: { type: "string", minLength: 1 },
          description: { type: "string", minLength: 1 },
          unit_price: { type: "string" },
          valid_from: { type: "string" },
        },
      },
      time: "valid_from",
      knownAt: "event_time",
    },
  },

  cleaning: {
    user_events: {
      steps: [
        // While it is still text.
        { step: "derive", field: "order_day", expression: "e.InvoiceDate.substring(0, 10)" },
        {
          step: "rename",
          fields: {
            InvoiceNo: "invoice_no",
            StockCode: "stock_code",
            Description: "description",
            Quantity: "quantity",
            InvoiceDate: "invoiced_at",
            UnitPrice: "unit_price",
            CustomerID: "customer_id",
            Country: "country",
          },
        },
        { step: "trim", fields: ["invoice_no", "stock_code", "description", "customer_id", "country"] },
        { step: "cast", fields: ["invoiced_at"], to: "instant" },
        { step: "cast", fields: ["unit_price"], to: "number" },
        // The file writes 17850.0 for customer 17850.
        { step: "cast", fields: ["quantity", "customer_id"], to: "integer" },
        { step: "filter", expression: "e.customer_id != null", reason: "no customer" },
        { step: "filter", expression: "e.unit_price > 0.0", reason: "no price" },
        { step: "derive", field: "stock_code", expression: "e.stock_code.upperAscii()" },
        { step: "derive", field: "cancelled", expression: 'e.invoice_no.startsWith("C")' },
        { step: "derive", field: "is_order", expression: "!e.cancelled && e.quantity > 0" },
        { step: "derive", field: "amount", expression: "e.quantity * e.unit_price" },
      ],
      expectations: [
        {
          expect: "not_null",
          fields: ["invoice_no", "stock_code", "quantity", "invoiced_at"],
          action: "quarantine",
        },
        {
          expect: "pattern",
          field: "invoice_no",
          pattern: "^[AC]?[0-9]{6}(-[0-9]+)?$",
          action: "quarantine",
        },
        { expect: "range", field: "quantity", min: -5_000, max: 5_000, action: "warn" },
        { expect: "range", field: "unit_price", min: 0, max: 1_000, action: "warn" },
        { expect: "pattern", field: "stock_code", pattern: "^[0-9]{5}[A-Z]*$", action: "warn" },
        {
          expect: "row",
          expression: "e.cancelled == (e.quantity < 0)",
          message: "a line is cancelled exactly when its quantity is negative",
          action: "warn",
        },
      ],
    },
    products: {
      steps: [
        { step: "trim", fields: ["description"] },
        { step: "cast", fields: ["unit_price"], to: "number" },
        { step: "cast", fields: ["valid_from"], to: "instant" },
      ],
      expectations: [
        { expect: "not_null", fields: ["stock_code", "description"], action: "quarantine" },
        { expect: "pattern", field: "stock_code", pattern: "^[0-9]{5}[A-Z]*$", action: "quarantine" },
      ],
    },
  },

  entities: {
    customer: { keys: { customer_id: "integer" }, description: "Who buys" },
  },

  views: {
    customer_orders: {
      entity: "customer",
      source: "user_events",
      hop: "P1D",
      owner: "growth",
      description: "What a customer ordered and cancelled over the last week, month and two months",
      features: {
        days_since_last_order: { aggregate: "since_last", window: "P60D", where: orders },
        orders_7d: { aggregate: "distinct_count", field: "invoice_no", window: "P7D", where: orders },
        orders_30d: { aggregate: "distinct_count", field: "invoice_no", window: "P30D", where: orders },
        orders_60d: { aggregate: "distinct_count", field: "invoice_no", window: "P60D", where: orders },
        spend_30d: { aggregate: "sum", field: "amount", window: "P30D", where: orders },
        spend_60d: { aggregate: "sum", field: "amount", window: "P60D", where: orders },
        lines_30d: { aggregate: "count", window: "P30D", where: orders },
        lines_60d: { aggregate: "count", window: "P60D", where: orders },
        quantity_30d: { aggregate: "sum", field: "quantity", window: "P30D", where: orders },
        quantity_60d: { aggregate: "sum", field: "quantity", window: "P60D", where: orders },
        products_30d: { aggregate: "distinct_count", field: "stock_code", window: "P30D", where: orders },
        products_60d: { aggregate: "distinct_count", field: "stock_code", window: "P60D", where: orders },
        cancellations_30d: {
          aggregate: "distinct_count",
          field: "invoice_no",
          window: "P30D",
          where: cancellations,
        },
        cancellations_60d: {
          aggregate: "distinct_count",
          field: "invoice_no",
          window: "P60D",
          where: cancellations,
        },
        order_days_30d: { aggregate: "distinct_count", field: "order_day", window: "P30D", where: orders },
        line_amount_mean_60d: { aggregate: "mean", field: "amount", window: "P60D", where: orders },
        line_amount_max_60d: { aggregate: "max", field: "amount", window: "P60D", where: orders },
        avg_order_value_60d: { expression: "f.spend_60d / f.orders_60d" },
        lines_per_order_60d: { expression: "f.lines_60d / f.orders_60d" },
        quantity_per_line_60d: { expression: "f.quantity_60d / f.lines_60d" },
      },
    },
  },

  featureServices: {
    reorder: {
      description: "What the reorder model sees of a customer",
      features: [
        "customer_orders.days_since_last_order",
        "customer_orders.orders_7d",
        "customer_orders.orders_30d",
        "customer_orders.orders_60d",
        "customer_orders.spend_30d",
        "customer_orders.spend_60d",
        "customer_orders.lines_30d",
        "customer_orders.lines_60d",
        "customer_orders.quantity_30d",
        "customer_orders.quantity_60d",
        "customer_orders.products_30d",
        "customer_orders.products_60d",
        "customer_orders.cancellations_30d",
        "customer_orders.cancellations_60d",
        "customer_orders.order_days_30d",
        "customer_orders.line_amount_mean_60d",
        "customer_orders.line_amount_max_60d",
        "customer_orders.avg_order_value_60d",
        "customer_orders.lines_per_order_60d",
        "customer_orders.quantity_per_line_60d",
      ],
    },
  },

  models: {
    reorder: {
      description: "Will this customer order again within 30 days?",
      task: "binary",
      entity: "customer",
      featureService: "reorder",
      // Every Monday, each customer who ordered in the 60 days before.
      spine: { source: "user_events", where: orders, every: "P7D", activeWithin: "P60D" },
      // Five weeks after the data begin: before that, most of a 60-day window would lie outside the data.
      observeFrom: "2011-01-10T00:00:00.000Z",
      label: { source: "user_events", aggregate: "exists", where: orders, within: "P30D" },
      algorithm: "gbdt",
      // Few rows and noisy labels: a larger model is a worse one here.
      parameters: { rounds: 100, learningRate: 0.03, maxLeaves: 8, minRowsPerLeaf: 80 },
      metric: "log_loss",
      // The last three mature Mondays.
      split: { test: "P21D" },
      gate: { minRelativeGain: 0.05, minBaselineGain: 0.02, minRows: 500 },
      seed: 1,
    },
  },

  deployments: {
    reorder: { alias: "champion", features: { deadline: "PT2S", fallback: "refuse" } },
  },

  monitors: {
    reorder_drift: {
      kind: "drift",
      model: "reorder",
      statistic: "psi",
      threshold: 0.25,
      minFeatures: 3,
      window: "P7D",
      minRows: 200,
    },
  },

  alerts: {
    reorder_drift: {
      description: "What the reorder model is served no longer looks like what it was trained on",
      on: { kind: "drift", subjectType: "model", name: "reorder" },
      severity: "critical",
    },
  },

  pipelines: {
    retrain_reorder: { model: "reorder", on: { alerts: ["reorder_drift"] }, cooldown: "PT1H" },
  },
});
