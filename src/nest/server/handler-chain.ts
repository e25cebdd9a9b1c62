import type { MessageHandler } from '@nestjs/microservices';

/** The handler of the same event that Nest runs beside this one. Nest's type says only that it is a function. */
export function nextOf(handler: MessageHandler): MessageHandler | undefined {
  return handler.next;
}
