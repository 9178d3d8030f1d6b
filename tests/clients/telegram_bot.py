"""Answers what is written to a bot of Telegram through python-telegram-bot, with the same text, and confirms what is pressed."""

import sys

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import ApplicationBuilder, CallbackQueryHandler, MessageHandler, filters

base, token = sys.argv[1:3]


async def echo(update: Update, _):
    button = InlineKeyboardButton("Acknowledge", callback_data="ack 7")
    await update.message.reply_html(update.message.text, reply_markup=InlineKeyboardMarkup([[button]]))


async def confirm(update: Update, _):
    await update.callback_query.answer(update.callback_query.data)


application = ApplicationBuilder().token(token).base_url(f"{base}/bot").build()
application.add_handler(MessageHandler(filters.TEXT, echo))
application.add_handler(CallbackQueryHandler(confirm))
application.run_polling(timeout=1, poll_interval=0)
