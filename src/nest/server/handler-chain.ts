import type { MessageHandler } from '@nestjs/microservices';

/** The next handler of the same event, which Nest runs beside this one. Nest's own type of it is a bare function. */
export function nextOf(handler: MessageHandler): MessageHandler | undefined {
  return handler.next;
}
