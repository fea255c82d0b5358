/* rtcsink with uri=app:, whose notes the application carries: here by its own
 * standard input and output, one JSON object of sigmund.v1 on a line. Put a
 * message queue, an MQTT topic or a chat there instead.
 *
 *   cc carry.c -o carry $(pkg-config --cflags --libs gstreamer-1.0)
 *   ./carry videotestsrc is-live=true ! rtcsink name=sink uri=app:
 */
#include <gst/gst.h>
#include <stdio.h>

/* The element has something to say to a far side. Runs on a thread of the
 * element, which waits for nothing that is done here. */
static void
carry_out (GstElement * sink, const gchar * json, gpointer unused)
{
  puts (json);
  fflush (stdout);
}

/* A far side has something to say to the element. */
static gboolean
carry_in (GIOChannel * input, GIOCondition condition, gpointer data)
{
  GstElement *sink = data;
  gchar *json = NULL;
  gboolean taken = FALSE;

  if (g_io_channel_read_line (input, &json, NULL, NULL, NULL) != G_IO_STATUS_NORMAL)
    return G_SOURCE_REMOVE;
  g_signal_emit_by_name (sink, "incoming-message", json, &taken);
  if (!taken)
    g_printerr ("not taken: %s", json);
  g_free (json);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  GError *error = NULL;
  GstElement *pipeline, *sink;
  GMainLoop *loop;

  gst_init (&argc, &argv);
  pipeline = gst_parse_launchv ((const gchar **) argv + 1, &error);
  if (pipeline == NULL) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_signal_connect (sink, "outgoing-message", G_CALLBACK (carry_out), NULL);
  g_io_add_watch (g_io_channel_unix_new (0), G_IO_IN | G_IO_HUP, carry_in, sink);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (loop);
  return 0;
}
