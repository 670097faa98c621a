// The dashboard as Grafana's published types have it. JSON writes values of enums as what they stand for.
import type { Dashboard } from '@grafana/schema';

type Written<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : unknown extends T
      ? T
      : T extends readonly (infer Item)[]
        ? Written<Item>[]
        : T extends object
          ? { [Key in keyof T]: Written<T[Key]> }
          : T;

export const dashboard: Written<Dashboard> =
