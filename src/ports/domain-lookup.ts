/** What DNS says of a domain. Faults are of whoever was asked, and say nothing about the domain. */
export interface DomainLookup {
  /**
   * The texts of a name's TXT records, each with its strings joined; none where there is no such record or name. Throws `DnsFault` where nobody could
   * tell: no answer in time, a refusal, an answer that is none.
   */
  texts(name: string): Promise<string[]>;
  /** What a name is another name for, in lower case; null for what is none. Throws as {@link DomainLookup.texts}. */
  alias(name: string): Promise<string | null>;
}

/** DNS could not be asked. */
export class DnsFault extends Error {
  /** For whoever asked. */
  readonly publicMessage: string;

  constructor(message: string, publicMessage: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DnsFault';
    this.publicMessage = publicMessage;
  }
}
