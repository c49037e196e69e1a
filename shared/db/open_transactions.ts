/**
 * Keeps a transaction whose connection is gone from going on.
 *
 * postgres.js 3.4 ends such a transaction for whoever waits for it, but the function that runs in it is not
 * stopped: its next statement is executed on the closed connection, which brings the process down with an
 * uncaught TypeError, or, once the pool has opened that connection again, outside of any transaction, where it
 * is committed on its own.
 *
 * Here the function's next statement throws instead. Which transaction a closed connection belonged to can't be
 * seen at that moment, so all that are open on the pool end; connections close by accident only, and mostly all
 * at once.
 *
 * @module
 */
import type postgres from "postgres";

/** What the driver itself says of a statement in flight. */
class ConnectionClosed extends Error {
  override name = "ConnectionClosed";
  readonly code = "CONNECTION_CLOSED";
  constructor() {
    super("Cannot go on with the transaction: a connection to PostgreSQL was closed");
  }
}

interface OpenTransaction {
  /** A connection of the pool closed since it began: perhaps its own. */
  doubtful: boolean;
  /** The driver has ended it: its own connection is gone. */
  lost: boolean;
}

type Work<T> = (tx: postgres.TransactionSql) => Promise<T> | T;

/** The transactions that are open on one pool. */
export class OpenTransactions {
  readonly #open = new Set<OpenTransaction>();

  /** To be called at once when a connection of the pool closes: before anything else can run. */
  connectionClosed(): void {
    for (const transaction of this.#open) transaction.doubtful = true;
  }

  /** The pool with a `begin` that watches its transactions, and without `reserve`, which has the same trouble. */
  guard<Types extends Record<string, unknown>>(db: postgres.Sql<Types>): postgres.Sql<Types> {
    const begin = db.begin.bind(db) as unknown as (options: string, work: Work<unknown>) => Promise<unknown>;
    const guarded = (first: string | Work<unknown>, second?: Work<unknown>) =>
      typeof first === "string"
        ? this.#begin((work) => begin(first, work), second!)
        : this.#begin((work) => begin("", work), first);
    return Object.assign(db, {
      begin: guarded as typeof db.begin,
      reserve: () => {
        throw new TypeError("Cannot reserve a connection: work that needs one runs in a transaction");
      },
    });
  }

  async #begin(begin: (work: Work<unknown>) => Promise<unknown>, work: Work<unknown>): Promise<unknown> {
    const transaction: OpenTransaction = { doubtful: false, lost: false };
    try {
      return await begin((tx) => {
        this.#open.add(transaction);
        return settle(transaction, () => work(guardStatements(tx, transaction)));
      });
    } catch (error) {
      transaction.lost = true;
      throw error;
    } finally {
      this.#open.delete(transaction);
    }
  }
}

/**
 * The outcome of the work for the driver, which then commits or rolls back: on a connection that is gone it
 * must do neither, so then this promise stays open. Nobody waits for it any more.
 */
function settle(transaction: OpenTransaction, work: () => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    void run().catch(reject);

    async function run(): Promise<void> {
      let outcome: () => void;
      try {
        const result = await work();
        outcome = () => transaction.doubtful ? reject(new ConnectionClosed()) : resolve(result);
      } catch (error) {
        outcome = () => reject(error);
      }
      // A transaction that lost its own connection is ended by the driver before the next turn of the loop.
      if (transaction.doubtful) await new Promise((next) => setTimeout(next, 0));
      if (!transaction.lost) outcome();
    }
  });
}

function guardStatements(
  tx: postgres.TransactionSql,
  transaction: OpenTransaction,
): postgres.TransactionSql {
  const check = () => {
    if (transaction.doubtful) throw new ConnectionClosed();
  };
  return new Proxy(tx, {
    apply(target, self, args) {
      check();
      return Reflect.apply(target as unknown as () => unknown, self, args);
    },
    get(target, property, receiver) {
      const value: unknown = Reflect.get(target, property, receiver);
      if (property === "unsafe" || property === "file") {
        return (...args: unknown[]) => {
          check();
          return Reflect.apply(value as () => unknown, target, args);
        };
      }
      if (property === "savepoint") {
        return (...args: unknown[]) => {
          check();
          const work = args.pop() as Work<unknown>;
          const inner: Work<unknown> = (nested) =>
            settle(transaction, () => work(guardStatements(nested, transaction)));
          return Reflect.apply(value as () => unknown, target, [...args, inner]);
        };
      }
      return value;
    },
  });
}
